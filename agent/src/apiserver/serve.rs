//! Connections and answers.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::fault::Fault;
use super::route::{Route, Verb};
use super::stream::{self, Body};
use super::{Seen, Shared, lock, review};

/// Connections served at once; further ones wait in the backlog.
const MAX_CONNECTIONS: usize = 512;

/// Bytes of a request's body that are read.
const MAX_BODY: usize = 64 << 10;

/// The group that a reader asks for before it follows EndpointSlices.
const SLICES: &str = "/apis/discovery.k8s.io/v1";

/// Serves until it is dropped, and its connections with it.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
        let Ok((socket, _)) = listener.accept().await else {
            // Out of file descriptors or a client that left: neither is helped by a tight loop.
            tokio::task::yield_now().await;
            continue;
        };
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let shared = shared.clone();
                async move { Ok::<_, Infallible>(answer(&shared, request).await) }
            });
            // A client that goes away in the middle is its own business.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let Some(route) = Route::of(&request) else {
        return group(shared, request.uri().path());
    };
    let text = |name| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    shared.saw(Seen {
        verb: route.verb,
        path: request.uri().path().to_owned(),
        query: route.query.clone(),
        agent: text(header::USER_AGENT).to_owned(),
    });
    if let Some(token) = &shared.options.token
        && text(header::AUTHORIZATION).strip_prefix("Bearer ") != Some(token)
    {
        return status(401, "Unauthorized");
    }
    let route = match *request.method() {
        Method::GET => route,
        Method::POST if review::is_review(&route) => route,
        _ => return status(405, "read only"),
    };
    let posted = if route.verb == Verb::Create { body(request).await } else { Value::Null };
    let fault = lock(&shared.faults).take(route.verb, &route.resource);
    match fault {
        None => found(shared, route, &posted),
        Some(Fault::Delay(time)) => {
            tokio::time::sleep(time).await;
            found(shared, route, &posted)
        }
        Some(Fault::Status { code, headers, body }) => {
            let mut response = reply(code, body);
            for (name, value) in headers {
                if let (Ok(name), Ok(value)) = (name.parse::<header::HeaderName>(), value.parse()) {
                    response.headers_mut().insert(name, value);
                }
            }
            response
        }
        Some(Fault::Event(code)) if route.verb == Verb::Watch => reply(
            200,
            format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", status_text(code, "by order")),
        ),
        Some(Fault::Event(code)) => status(code, "by order"),
        Some(Fault::Garbage) => reply(200, "<html>a login page</html>\n".to_owned()),
        Some(Fault::Empty) => reply(200, String::new()),
        Some(Fault::Cut) => cut(),
    }
}

/// What was sent, as far as it is JSON of a sensible size.
async fn body(request: Request<Incoming>) -> Value {
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    body.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok()).unwrap_or_default()
}

fn found(shared: &Arc<Shared>, route: Route, posted: &Value) -> Response<Body> {
    match route.verb {
        Verb::Create => {
            let answer = lock(&shared.subjects).review(&route.resource, posted);
            answer.map_or_else(
                || status(422, "no such review"),
                |answer| reply(201, answer.to_string()),
            )
        }
        Verb::Get => {
            let object = lock(&shared.store).list(&route).first().cloned();
            object.map_or_else(
                || status(404, "not found"),
                |object| reply(200, route.shape(&object).to_string()),
            )
        }
        Verb::List => list(shared, &route),
        Verb::Watch => stream::open(shared, route)
            .map_or_else(|| status(410, "too old resource version"), respond),
    }
}

/// Which resources a group has, as far as anyone asks for it.
fn group(shared: &Shared, path: &str) -> Response<Body> {
    if path != SLICES || !shared.options.slices {
        return status(404, "no such path");
    }
    let slices = json!({"name": "endpointslices", "kind": "EndpointSlice", "namespaced": true, "verbs": ["list", "watch"]});
    let group = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "discovery.k8s.io/v1", "resources": [slices]});
    reply(200, group.to_string())
}

fn list(shared: &Shared, route: &Route) -> Response<Body> {
    let store = lock(&shared.store);
    let asked = route.parameter("resourceVersion").unwrap_or_default();
    if asked.parse::<u64>().is_ok_and(|asked| asked > store.version()) {
        return status(504, "Too large resource version");
    }
    let all = store.list(route);
    // A list from the cache comes whole, whatever the limit.
    let limit = route
        .parameter("limit")
        .and_then(|text| text.parse().ok())
        .filter(|limit| *limit > 0 && asked != "0");
    let from: usize = route.parameter("continue").and_then(|text| text.parse().ok()).unwrap_or(0);
    let to = limit.map_or(all.len(), |limit| from.saturating_add(limit)).min(all.len());
    let items: Vec<Value> =
        all.get(from..to).unwrap_or_default().iter().map(|object| route.shape(object)).collect();
    let mut metadata = json!({"resourceVersion": store.told_version()});
    if to < all.len() {
        metadata["continue"] = to.to_string().into();
    }
    drop(store);
    reply(
        200,
        json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items})
            .to_string(),
    )
}

/// The body of a refusal, as the real server writes it.
pub(super) fn status_text(code: u16, message: &str) -> String {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "code": code}).to_string()
}

fn status(code: u16, message: &str) -> Response<Body> {
    reply(code, status_text(code, message))
}

fn reply(code: u16, text: String) -> Response<Body> {
    let mut response =
        respond(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}

fn respond(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

/// The head and the beginning of what could be a list or an event, then nothing more.
fn cut() -> Response<Body> {
    let frames = [
        Ok(Frame::data(Bytes::from_static(b"{\"type\":\"ADDED\",\"items\":[{"))),
        Err(io::Error::other("cut by order")),
    ];
    respond(StreamBody::new(futures::stream::iter(frames)).boxed_unsync())
}
