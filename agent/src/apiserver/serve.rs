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

/// The group that a reader asks for before it follows EndpointSlices.
const SLICES: &str = "/apis/discovery.k8s.io/v1";
/// The one collection that clients may write to.
const EVENTS: &str = "/apis/events.k8s.io/v1/events";
/// Most bytes of a body.
const MAX_BODY: usize = 64 << 10;

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
    let is_create = route.collection == EVENTS || review::is_review(&route);
    match *request.method() {
        Method::GET => {}
        Method::POST if is_create => {}
        _ => return status(405, "only Events are written here, and reviews answered"),
    }
    let fault = lock(&shared.faults).take(route.verb, &route.resource);
    match fault {
        None => done(shared, route, request).await,
        Some(Fault::Delay(time)) => {
            tokio::time::sleep(time).await;
            done(shared, route, request).await
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

async fn done(shared: &Arc<Shared>, route: Route, request: Request<Incoming>) -> Response<Body> {
    if route.verb != Verb::Create {
        return found(shared, route);
    }
    let Ok(body) = Limited::new(request.into_body(), MAX_BODY).collect().await else {
        return status(413, "too large");
    };
    let Ok(object) = serde_json::from_slice::<Value>(&body.to_bytes()) else {
        return status(400, "no JSON");
    };
    if route.collection == EVENTS {
        return create(shared, &route, object);
    }
    let answer = lock(&shared.subjects).review(&route.resource, &object);
    answer.map_or_else(|| status(422, "no such review"), |answer| reply(201, answer.to_string()))
}

/// Keeps an Event, unless it is there already or this is a dry run.
fn create(shared: &Arc<Shared>, route: &Route, object: Value) -> Response<Body> {
    let namespace = route.namespace.as_deref().unwrap_or_default();
    if object["metadata"]["namespace"] != namespace || object["metadata"]["name"].is_null() {
        return status(422, "an Event needs a name and the namespace of the path");
    }
    let is_dry = route.parameter("dryRun") == Some("All");
    let text = object.to_string();
    let kept = is_dry || lock(&shared.store).create(&route.collection, object);
    if !kept {
        return status(409, "already exists");
    }
    shared.signals.send_modify(|signals| signals.writes += 1);
    reply(201, text)
}

fn found(shared: &Arc<Shared>, route: Route) -> Response<Body> {
    match route.verb {
        Verb::Create => status(405, "not here"),
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
