//! A request that has a route.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{LOCATION, SET_COOKIE, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::{Body, Incoming};
use hyper::upgrade::OnUpgrade;

use super::Connection;
use super::answer::{self, Answer};
use super::attempt::{Attempt, Subject};
use super::attempts::{Attempts, Lost, Won};
use super::download::{self, Download};
use super::logged::Logged;
use super::pace::Pace;
use super::request::{self, Sorted};
use super::upgrade::{self, Tunnel};
use super::upload::{Meter, Upload};
use super::whole::Whole;
use crate::proxy::affinity::{self, EndpointTag};
use crate::proxy::failure::Failure;
use crate::proxy::forwarded::{Client, Scheme};
use crate::proxy::live::{Live, LiveRoute, LiveService};
use crate::proxy::refusal::Refusal;
use crate::proxy::route::{Action, Redirect, Route};
use crate::proxy::{hop, table, trace};

/// Headers that tell the pod about the client.
const FORWARDED: usize = 6;

/// A request that has a route, and nothing is decided about it yet.
pub(crate) struct Flow {
    pub(crate) connection: Arc<Connection>,
    pub(crate) live: Arc<Live>,
    /// Which route.
    pub(crate) at: usize,
    /// Bytes of the path that the route's prefix matched.
    pub(crate) matched: usize,
    pub(crate) sorted: Sorted,
    pub(crate) began: Instant,
}

/// A request taken apart.
struct Opened {
    head: Parts,
    body: Upload,
    subject: Subject,
    client: Client,
    /// What the connection may turn into, and the client's end of it.
    upgrade: Option<(HeaderValue, OnUpgrade)>,
}

/// A request on its way to a pod. Boxed, since whatever a future holds is copied from one to the other on the way
/// in, and once more for each function that waits for another.
pub(crate) struct Forwarding {
    flow: Flow,
    service: Arc<LiveService>,
    request: Option<Request<Upload>>,
    subject: Subject,
    whole: Whole,
    /// The client's end of what the connection may turn into.
    upgrade: Option<OnUpgrade>,
    session: Option<EndpointTag>,
    is_secure: bool,
    is_grpc: bool,
}

/// The client's end of a tunnel, and what is measured of it.
struct Ends {
    client: OnUpgrade,
    attempt: Attempt,
    whole: Whole,
}

impl Flow {
    fn route(&self) -> &Route {
        &self.live.table.routes()[self.at]
    }

    fn ready(&self) -> &LiveRoute {
        &self.live.routes[self.at]
    }

    /// The request on its way to a pod, or what is answered without one.
    pub(crate) fn start(
        self,
        request: Request<Incoming>,
        mut log: Option<Box<Logged>>,
    ) -> Result<Box<Forwarding>, Box<Response<Answer>>> {
        if let Some(log) = &mut log {
            log.routed(self.route());
        }
        let worker = &self.connection.worker;
        let method = request.method().clone();
        let opened = match self.open(request) {
            Ok(opened) => opened,
            Err(refusal) => {
                let route = self.ready().stats.clone();
                let subject = Subject { route, method, trace: None, meter: None };
                let mut whole = Whole::begin(worker, subject, self.began, log);
                let lost = Lost::Refused(refusal);
                return Err(Box::new(self.lost(&lost, &mut whole, None, Duration::ZERO)));
            }
        };
        let mut whole = Whole::begin(worker, opened.subject.clone(), self.began, log);
        if let Some(mut answer) = self.redirect(&opened) {
            whole.answered(answer.status(), Duration::ZERO);
            whole.finish();
            table::edit(answer.headers_mut(), &self.route().response);
            return Err(Box::new(answer));
        }
        let Some(service) = self.service().cloned() else {
            let lost = Lost::Refused(Refusal::NoEndpoint);
            return Err(Box::new(self.lost(&lost, &mut whole, None, Duration::ZERO)));
        };
        let Opened { head, body, subject, client, upgrade } = opened;
        let (protocol, upgrade) = upgrade.unzip();
        Ok(Box::new(Forwarding {
            session: self.session(&service, &head.headers),
            is_grpc: request::is_grpc(&head.headers),
            is_secure: is_secure(&client),
            request: Some(self.outgoing(head, body, protocol, &client)),
            flow: self,
            service,
            subject,
            whole,
            upgrade,
        }))
    }

    fn open(&self, mut request: Request<Incoming>) -> Result<Opened, Refusal> {
        let (connection, bounds) = (&self.connection, &self.ready().bounds);
        let settings = connection.worker.settings();
        let client = connection.peer.client(request.headers());
        if !request::is_expectable(request.version(), request.headers()) {
            return Err(Refusal::Expectation);
        }
        let protocol = request::upgrade(&request, settings)?;
        let upgrade = protocol.map(|protocol| (protocol, hyper::upgrade::on(&mut request)));
        let (head, body) = request.into_parts();
        let (body, meter) = if body.is_end_stream() {
            (Upload::EMPTY, None)
        } else {
            if body.size_hint().lower() > bounds.body {
                return Err(Refusal::BodyTooLarge);
            }
            let meter = Arc::new(Meter::default());
            (Upload::new(body, meter.clone(), bounds.body, bounds.idle), Some(meter))
        };
        let subject = Subject {
            route: self.ready().stats.clone(),
            method: head.method.clone(),
            trace: trace::sampled(&head.headers),
            meter,
        };
        Ok(Opened { head, body, subject, client, upgrade })
    }

    /// The answer of a route that sends the client elsewhere.
    fn redirect(&self, opened: &Opened) -> Option<Response<Answer>> {
        let route = self.route();
        let is_secure = is_secure(&opened.client);
        let secure;
        let redirect = match &route.action {
            _ if route.https_only && !is_secure => {
                secure = Redirect {
                    status: StatusCode::PERMANENT_REDIRECT,
                    scheme: Some("https".into()),
                    host: None,
                    path: None,
                };
                &secure
            }
            Action::Redirect(redirect) => redirect,
            Action::Forward(_) => return None,
        };
        let scheme = if is_secure { "https" } else { "http" };
        let host = self.sorted.authority.to_str().unwrap_or(&self.sorted.host);
        let target = request::target(&opened.head.uri);
        let location = table::location(redirect, scheme, host, &target, self.matched);
        let mut answer = answer::bare(redirect.status);
        answer.headers_mut().insert(LOCATION, location);
        Some(answer)
    }

    /// The Service that the weights choose this time.
    fn service(&self) -> Option<&Arc<LiveService>> {
        let services = &self.ready().services;
        match &self.route().action {
            Action::Forward(weights) if weights.len() > 1 => {
                services.get(table::weighted(weights, fastrand::u32(..))?)
            }
            Action::Forward(_) => services.first(),
            Action::Redirect(_) => None,
        }
    }

    /// The pod that the client's session is bound to, if its cookie is ours.
    fn session(&self, service: &LiveService, headers: &HeaderMap) -> Option<EndpointTag> {
        let affinity = self.route().affinity.as_ref()?;
        let cookie = table::cookie(headers, &affinity.cookie)?;
        self.connection.worker.shared.affinity.verify(&service.key, cookie.as_bytes())
    }

    /// The request as it is written to the pod.
    fn outgoing(
        &self,
        head: Parts,
        body: Upload,
        protocol: Option<HeaderValue>,
        client: &Client,
    ) -> Request<Upload> {
        let route = self.route();
        let mut request = Request::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = request::rewritten(route, &head.uri, self.matched);
        let mut headers = head.headers;
        // For what is told of the client, so that the map grows once.
        headers.reserve(FORWARDED);
        hop::strip_hop_by_hop(&mut headers, true);
        headers.remove(http::header::EXPECT);
        if head.version >= Version::HTTP_2 {
            request::join_cookies(&mut headers);
        }
        headers.insert(http::header::HOST, self.sorted.authority.clone());
        self.connection.peer.set(&mut headers, client, Some(&self.sorted.authority));
        table::remove_lookalikes(&mut headers, &route.request);
        table::edit(&mut headers, &route.request);
        // Without it a body of a GET that has no length would not be sent.
        if !request.body().is_end_stream() && request.body().size_hint().exact().is_none() {
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        if let Some(protocol) = protocol {
            upgrade::ask(&mut headers, protocol);
        }
        *request.headers_mut() = headers;
        request
    }

    /// Lets client and pod speak what they agreed on.
    fn tunnel(&self, mut answer: Response<Incoming>, ends: Ends) -> Response<Answer> {
        let Ends { client, attempt, whole } = ends;
        let worker = &self.connection.worker;
        self.connection.verdict.upgrade();
        let pod = hyper::upgrade::on(&mut answer);
        let idle = worker.settings().timeouts.tunnel;
        let connection = self.connection.clone();
        let tunnel = Tunnel { client, pod, attempt, whole, idle, connection };
        worker.tasks.spawn(tunnel.run());
        answer.map(|_| Answer::Own(None))
    }

    /// No pod answered.
    fn lost(
        &self,
        lost: &Lost,
        whole: &mut Whole,
        meter: Option<&Meter>,
        waited: Duration,
    ) -> Response<Answer> {
        let broken = || self.connection.verdict.broken();
        let is_gone = meter.and_then(Meter::broken) == Some(Refusal::Chunk) && broken().is_none();
        let lost = match *lost {
            // Its bytes just ended.
            Lost::Failed(Failure::RequestBody) if is_gone => &Lost::Failed(Failure::ClientGone),
            _ => lost,
        };
        let answer = match *lost {
            Lost::Refused(refusal) => self.connection.refuse(refusal),
            // The client's own body broke off: the bytes tell which rule it broke.
            Lost::Failed(Failure::RequestBody) => {
                let broken = meter.and_then(Meter::broken).unwrap_or(Refusal::Chunk);
                let told = self.connection.verdict.broken().filter(|_| broken == Refusal::Chunk);
                self.connection.refuse(told.unwrap_or(broken))
            }
            Lost::Failed(failure) => answer::failed(failure),
        };
        whole.answered(answer.status(), waited);
        whole.failed(match *lost {
            Lost::Refused(refusal) => refusal.as_str(),
            Lost::Failed(failure) => failure.as_str(),
        });
        whole.finish();
        answer
    }
}

impl Forwarding {
    /// Sends the request to a pod, and gives the answer.
    pub(crate) async fn run(mut self: Box<Self>) -> Response<Answer> {
        let flow = &self.flow;
        let bounds = &flow.ready().bounds;
        let mut attempts = Attempts {
            worker: &flow.connection.worker,
            service: &self.service,
            bounds,
            subject: &self.subject,
            session: self.session,
            deadline: bounds.request.map(|bound| (flow.began + bound).into()),
            is_grpc: self.is_grpc,
            is_upgrade: self.upgrade.is_some(),
            waited: Duration::ZERO,
            retries: 0,
        };
        let outcome = attempts.run(&mut self.request).await;
        let (waited, deadline) = (attempts.waited, attempts.deadline);
        match outcome {
            Ok(won) => self.pass_back(won, waited, deadline),
            Err(lost) => {
                let meter = self.subject.meter.as_deref();
                self.flow.lost(&lost, &mut self.whole, meter, waited)
            }
        }
    }

    /// The pod's answer as the client gets it.
    fn pass_back(
        self,
        won: Won,
        waited: Duration,
        deadline: Option<tokio::time::Instant>,
    ) -> Response<Answer> {
        let Won { mut attempt, answer, link } = won;
        let (mut head, body) = answer.into_parts();
        head.version = Version::HTTP_11;
        let is_tunnel = upgrade::is_done(head.status);
        let protocol = if is_tunnel { head.headers.get(UPGRADE).cloned() } else { None };
        hop::strip_hop_by_hop(&mut head.headers, false);
        table::edit(&mut head.headers, &self.flow.route().response);
        let cookie = self.bind(&attempt.backend().key.id);
        head.headers.extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
        let Self { flow, mut whole, upgrade, .. } = self;
        whole.answered_by(attempt.backend());
        if is_tunnel {
            let (Some(client), Some(protocol)) = (upgrade, protocol) else {
                // A 101 that nobody asked for.
                attempt.fail(Failure::BadResponse);
                let lost = Lost::Failed(Failure::BadResponse);
                return flow.lost(&lost, &mut whole, None, waited);
            };
            whole.answered(head.status, waited);
            upgrade::ask(&mut head.headers, protocol);
            let ends = Ends { client, attempt, whole };
            return flow.tunnel(Response::from_parts(head, body), ends);
        }
        whole.answered(head.status, waited);
        if let Some(due) = deadline {
            match Pace::of_this_task() {
                Some(stream) => stream.end_by(due),
                None => flow.connection.verdict.end_by(due),
            }
        }
        let worker = flow.connection.worker.clone();
        let idle = flow.ready().bounds.idle;
        let is_bodiless = whole.method() == Method::HEAD
            || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let parts =
            download::Parts { body, link, attempt, whole, idle, deadline, worker, is_bodiless };
        Response::from_parts(head, Answer::Pod(Box::new(Download::new(parts))))
    }

    /// The cookie that binds the client's session to the pod that answered, unless it is bound to it already.
    fn bind(&self, id: &str) -> Option<HeaderValue> {
        let affinity = self.flow.route().affinity.as_ref()?;
        if self.session == Some(EndpointTag::of(id)) {
            return None;
        }
        let keys = &self.flow.connection.worker.shared.affinity;
        let value = keys.sign(&self.service.key, id);
        affinity::set_cookie(affinity, &value, self.is_secure)
    }
}

fn is_secure(client: &Client) -> bool {
    client.scheme == Scheme::Https
}
