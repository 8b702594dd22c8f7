//! Tries pods until one answers or nothing is left to try.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Request, Response, Version};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::attempt::{Attempt, Subject};
use super::upgrade;
use super::upload::Upload;
use crate::proxy::affinity::EndpointTag;
use crate::proxy::backend::link::{Link, Unsent};
use crate::proxy::backend::shared::Share;
use crate::proxy::backend::{Backend, Busy};
use crate::proxy::balance::Choice;
use crate::proxy::clock;
use crate::proxy::failure::Failure;
use crate::proxy::guard::response::Fault;
use crate::proxy::live::{Bounds, LiveService};
use crate::proxy::refusal::Refusal;
use crate::proxy::service::Protocol;
use crate::proxy::worker::Worker;

/// Stale connections in a row that one request looks at before it makes one of its own.
const STALE: u32 = 3;

/// What a request needs to be tried.
pub(crate) struct Attempts<'a> {
    pub(crate) worker: &'a Arc<Worker>,
    pub(crate) service: &'a LiveService,
    pub(crate) bounds: &'a Bounds,
    pub(crate) subject: &'a Subject,
    /// The session's pod, if the request names one.
    pub(crate) session: Option<EndpointTag>,
    /// When the whole request must be over.
    pub(crate) deadline: Option<tokio::time::Instant>,
    /// Whether HTTP/2 is spoken to the pod because the request is gRPC.
    pub(crate) is_grpc: bool,
    /// The connection may turn into something else.
    pub(crate) is_upgrade: bool,
    /// Time that went by waiting for connections and pods.
    pub(crate) waited: Duration,
    pub(crate) retries: u32,
}

/// A pod answers.
pub(crate) struct Won {
    pub(crate) attempt: Attempt,
    pub(crate) answer: Response<Incoming>,
    /// The connection that the body comes over, where it must be driven.
    pub(crate) link: Option<Box<Link>>,
}

/// No pod answers.
#[derive(Debug)]
pub(crate) enum Lost {
    /// None was tried, or none was left.
    Refused(Refusal),
    /// The last one tried failed.
    Failed(Failure),
}

/// How one attempt failed.
struct Failed {
    failure: Failure,
    /// A kept connection that was closed and the request may be sent again: tells nothing of the pod.
    is_stale: bool,
}

/// A way to send.
enum Way {
    Link(Box<Link>),
    Shared(Share),
}

impl Attempts<'_> {
    /// Sends the request; what is in its place afterwards is of no use.
    pub(crate) async fn run(&mut self, request: &mut Option<Request<Upload>>) -> Result<Won, Lost> {
        let retry = &self.worker.settings().retry;
        self.service.budget.deposit(retry);
        let mut tried: Vec<Arc<Backend>> = Vec::new();
        let mut stale = 0;
        let mut last = None;
        loop {
            let busy = match self.claim(&tried) {
                Ok(busy) => busy,
                // The failure says more than that nobody is left.
                Err(refusal) => return Err(last.map_or(Lost::Refused(refusal), Lost::Failed)),
            };
            let backend = busy.backend().clone();
            let failed = match self.once(busy, request, stale < STALE).await {
                Ok(won) => return Ok(won),
                Err(failed) => failed,
            };
            if request.is_none() {
                return Err(Lost::Failed(failed.failure));
            }
            if failed.is_stale {
                stale += 1;
                continue;
            }
            last = Some(failed.failure);
            tried.push(backend);
            if self.retries >= retry.attempts || !self.service.budget.withdraw(retry, clock::now())
            {
                return Err(Lost::Failed(failed.failure));
            }
            self.retries += 1;
            self.subject.route.retried(self.worker.index);
        }
    }

    fn claim(&self, tried: &[Arc<Backend>]) -> Result<Busy, Refusal> {
        let settings = self.worker.settings();
        let pods = self.service.pods.load();
        // A Service that no source has told about yet has no pods that are known.
        let pods = pods.as_ref().ok_or(Refusal::NoEndpoint)?;
        pods.claim(&Choice {
            balance: settings.balance,
            most: settings.limits.backend_connections,
            now: clock::now(),
            tried,
            session: self.session.as_ref(),
        })
    }

    /// Tries one pod. When it fails, the request is in its place again where it may be sent once more.
    async fn once(
        &mut self,
        busy: Busy,
        request: &mut Option<Request<Upload>>,
        may_reuse: bool,
    ) -> Result<Won, Failed> {
        let asked = Instant::now();
        let kept = self.kept(busy.backend(), may_reuse);
        let mut attempt = Attempt::begin(self.worker, busy, self.subject.clone());
        let mut way = match kept {
            Some(way) => way,
            // Seldom needed and large, so not a part of what every request carries about.
            None => match Box::pin(self.connect(attempt.backend())).await {
                Ok(way) => {
                    attempt.connected();
                    way
                }
                Err(failure) => {
                    self.waited += asked.elapsed();
                    attempt.fail(failure);
                    return Err(Failed { failure, is_stale: false });
                }
            },
        };
        // Of several streams of one connection each has a place, until its answer has ended.
        if let Way::Shared(share) = &mut way {
            attempt.occupy(share.place.take());
        }
        let is_guess = self.is_grpc && attempt.backend().key.protocol == Protocol::Http1;
        let outcome = self.send(way, request).await;
        self.waited += asked.elapsed();
        match outcome {
            Ok((answer, link)) => {
                attempt.answered(answer.status());
                Ok(Won { attempt, answer, link })
            }
            Err(failed) => {
                // What the client chose the pod's protocol by, and how long it took to send, is not the pod's fault.
                let is_late = failed.failure == Failure::RequestTimeout;
                let is_clients = is_guess || (is_late && self.subject.meter.is_some());
                if failed.is_stale {
                    attempt.forget();
                } else if is_clients {
                    attempt.give_up(failed.failure);
                } else {
                    attempt.fail(failed.failure);
                }
                Err(failed)
            }
        }
    }

    fn is_shared(&self, backend: &Backend) -> bool {
        self.is_grpc || backend.key.protocol == Protocol::H2c
    }

    /// A connection that is there already.
    fn kept(&self, backend: &Arc<Backend>, may_reuse: bool) -> Option<Way> {
        let worker = self.worker;
        if self.is_shared(backend) {
            return backend.shared(worker.index).take().map(Way::Shared);
        }
        let oldest = worker.settings().timeouts.backend_idle;
        let link = may_reuse.then(|| backend.pool(worker.index).take(oldest));
        link.flatten().map(Way::Link)
    }

    /// A new connection.
    async fn connect(&self, backend: &Arc<Backend>) -> Result<Way, Failure> {
        let worker = self.worker;
        let connector = &worker.shared.connector;
        let (wait, late) = self.within(self.bounds.connect, Failure::ConnectTimeout);
        let began = Instant::now();
        let way = if self.is_shared(backend) {
            connector
                .shared(backend, wait, &worker.links)
                .await
                .map(|sender| Way::Shared(backend.shared(worker.index).keep(sender)))
        } else {
            connector.link(backend, wait).await.map(Way::Link)
        };
        let way = way.map_err(|failure| match failure {
            Failure::ConnectTimeout => late,
            other => other,
        });
        let outcome = way.as_ref().map(drop).map_err(|failure| *failure);
        backend.stats.connected(worker.index, began.elapsed(), outcome);
        way
    }

    async fn send(
        &self,
        way: Way,
        slot: &mut Option<Request<Upload>>,
    ) -> Result<(Response<Incoming>, Option<Box<Link>>), Failed> {
        let late = |failure| Failed { failure, is_stale: false };
        let Some(request) = slot.take() else { return Err(late(Failure::FirstByteTimeout)) };
        let copy = self.copy(&request);
        match way {
            Way::Link(mut link) if !self.is_upgrade => {
                *slot = copy;
                match self.in_time(link.send(request)).await {
                    Ok(Ok(answer)) => Ok((answer, Some(link))),
                    Ok(Err(unsent)) => {
                        let (is_reused, fault) = (link.is_reused(), link.fault());
                        Err(self.failed(unsent, slot, is_reused, fault))
                    }
                    Err(failure) => {
                        *slot = None;
                        Err(late(failure))
                    }
                }
            }
            way => {
                let is_reused = matches!(&way, Way::Link(link) if link.is_reused());
                // Seldom needed and large, as above.
                let sent = self.in_time(self.send_otherwise(way, request));
                match Box::pin(sent).await {
                    // Not counted by the library that speaks HTTP/2.
                    Ok(Ok(answer))
                        if answer.headers().len() > self.worker.settings().limits.headers =>
                    {
                        Err(late(Failure::ResponseHeaders))
                    }
                    Ok(Ok(answer)) => Ok((answer, None)),
                    Ok(Err((unsent, fault))) => {
                        *slot = copy;
                        Err(self.failed(unsent, slot, is_reused, fault))
                    }
                    Err(failure) => Err(late(failure)),
                }
            }
        }
    }

    /// Sends over a connection that has a task of its own.
    async fn send_otherwise(
        &self,
        way: Way,
        request: Request<Upload>,
    ) -> Result<Response<Incoming>, (Unsent, Option<Fault>)> {
        match way {
            Way::Link(link) => {
                let gate = link.gate();
                let sent = upgrade::send(self.worker, *link, request).await;
                sent.map_err(|unsent| (unsent, gate.fault()))
            }
            Way::Shared(mut share) => {
                let sent = share.sender.try_send_request(over_http2(request)).await;
                sent.map_err(|unsent| (unsent, None))
            }
        }
    }

    /// Waits for the head of an answer. The time runs from the last byte of the request's body on: neither a long
    /// upload nor a client that stalls is a slow pod. The body itself notices the latter.
    async fn in_time<T>(&self, answer: impl Future<Output = T>) -> Result<T, Failure> {
        let mut answer = pin!(answer);
        let mut sent = 0;
        loop {
            let (wait, late) = self.within(self.bounds.first_byte, Failure::FirstByteTimeout);
            if let Ok(answer) = timeout(wait, answer.as_mut()).await {
                return Ok(answer);
            }
            let meter = self.subject.meter.as_deref();
            let awaited = meter.filter(|meter| meter.is_awaited());
            let before = std::mem::replace(&mut sent, self.subject.request_bytes());
            match awaited {
                Some(meter) if late == Failure::RequestTimeout => {
                    meter.give_up();
                    return Err(Failure::RequestBody);
                }
                None if late == Failure::RequestTimeout || sent == before => return Err(late),
                _ => {}
            }
        }
    }

    /// A wait cut to what is left of the whole request's time, and what it is when it was too short.
    fn within(&self, wait: Duration, late: Failure) -> (Duration, Failure) {
        let left =
            self.deadline.map(|at| at.saturating_duration_since(tokio::time::Instant::now()));
        match left {
            Some(left) if left < wait => (left, Failure::RequestTimeout),
            _ => (wait, late),
        }
    }

    /// What a failure means; leaves in `slot` what may be sent again.
    fn failed(
        &self,
        mut unsent: Unsent,
        slot: &mut Option<Request<Upload>>,
        is_reused: bool,
        fault: Option<Fault>,
    ) -> Failed {
        let returned = unsent.take_message().map(over_http1);
        let copy = slot.take();
        let meter = self.subject.meter.as_deref();
        if meter.is_some_and(|meter| meter.broken().is_some()) {
            return Failed { failure: Failure::RequestBody, is_stale: false };
        }
        let error = unsent.error();
        let failure = if let Some(fault) = fault {
            fault.failure()
        } else if error.is_parse_too_large() {
            Failure::ResponseHeaders
        } else if error.is_parse() {
            Failure::BadResponse
        } else {
            Failure::Reset
        };
        // Garbage is an answer: the pod has seen the request.
        if failure == Failure::Reset {
            *slot = returned.or(copy);
        }
        // A pod may close a kept connection at any time, and then no answer is no sign of trouble.
        Failed { failure, is_stale: is_reused && slot.is_some() }
    }

    /// What is sent again when a pod closes the connection without an answer, where doing it twice is the same as
    /// doing it once (RFC 9110, 9.2.2).
    fn copy(&self, request: &Request<Upload>) -> Option<Request<Upload>> {
        let is_idempotent = matches!(
            *request.method(),
            Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE
        );
        if !is_idempotent || self.subject.meter.is_some() {
            return None;
        }
        let mut copy = Request::new(Upload::EMPTY);
        copy.method_mut().clone_from(request.method());
        copy.uri_mut().clone_from(request.uri());
        copy.headers_mut().clone_from(request.headers());
        Some(copy)
    }
}

/// HTTP/2 wants the scheme and the authority in the target, and no `Host` beside it.
fn over_http2(mut request: Request<Upload>) -> Request<Upload> {
    *request.version_mut() = Version::HTTP_2;
    request.headers_mut().remove(http::header::TRANSFER_ENCODING);
    let host = request.headers_mut().remove(http::header::HOST);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(http::uri::Scheme::HTTP);
    parts.authority = host.and_then(|host| host.as_bytes().try_into().ok());
    if parts.authority.is_none() {
        parts.authority = Some(http::uri::Authority::from_static("localhost"));
    }
    if let Ok(uri) = http::Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

/// What came back unsent, as it was.
fn over_http1(mut request: Request<Upload>) -> Request<Upload> {
    if request.version() == Version::HTTP_2 {
        *request.version_mut() = Version::HTTP_11;
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = None;
        if let Some(authority) = parts.authority.take()
            && let Ok(host) = http::HeaderValue::from_str(authority.as_str())
        {
            request.headers_mut().insert(http::header::HOST, host);
        }
        if let Ok(uri) = http::Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}
