//! Answers one request: finds the route, chooses a pod, passes the request on and the answer back.
//!
//! Bodies stream both ways and are never held whole. Everything is written anew towards the pod, nothing is
//! passed on as raw bytes, so that no two parsers can disagree about where a request ends.

pub(crate) mod answer;
mod attempt;
mod attempts;
mod download;
mod flow;
mod idle;
mod logged;
pub(crate) mod pace;
mod request;
mod upgrade;
pub(crate) mod upload;
mod whole;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use super::forwarded::Peer;
use super::guard::addresses::Permit;
use super::guard::verdict::Verdict;
use super::live::Live;
use super::refusal::Refusal;
use super::table::Found;
use super::tls::Session;
use super::worker::Worker;
use answer::{Answer, Held};
use attempt::Subject;
use flow::{Flow, Forwarding};
use logged::{Ended, Logged};
use request::Sorted;
use whole::Whole;

/// A client's connection: what all its requests share.
pub(crate) struct Connection {
    pub(crate) worker: Arc<Worker>,
    /// Who it is, and what of that is told to pods.
    pub(crate) peer: Peer,
    /// What the TLS handshake showed; `None` for plain text.
    pub(crate) tls: Option<Session>,
    /// What the guard found in the bytes.
    pub(crate) verdict: Arc<Verdict>,
    /// It must end at once.
    pub(crate) end: CancellationToken,
    /// Its place among all connections, tunnels included.
    pub(crate) _permit: Permit,
}

impl Connection {
    /// Answers a request.
    pub(crate) async fn serve(self: &Arc<Self>, request: Request<Incoming>) -> Response<Held> {
        let began = Instant::now();
        let turn = self.verdict.next();
        let answer = match turn.refused() {
            Some(refusal) => self.refuse(refusal),
            None => match self.find(request, began) {
                Ok(forwarding) => forwarding.run().await,
                Err(answer) => *answer,
            },
        };
        answer.map(|body| Held::new(body, turn))
    }

    /// The request on its way to a pod, or what is answered without one.
    fn find(
        self: &Arc<Self>,
        request: Request<Incoming>,
        began: Instant,
    ) -> Result<Box<Forwarding>, Box<Response<Answer>>> {
        let refuse = |refusal, log| Err(Box::new(self.refuse_logged(refusal, log)));
        let client = || self.peer.client(request.headers()).ip;
        let log = Logged::read(&self.worker, &request, began, client);
        let fits = request::fits(&request, &self.worker.settings().limits);
        let sorted =
            fits.and_then(|()| Sorted::read(&request)).and_then(|sorted| self.admit(sorted));
        let sorted = match sorted {
            Ok(sorted) => sorted,
            Err(refusal) => return refuse(refusal, log),
        };
        let live = self.worker.shared.registry.live();
        let found = live.table.find(&sorted.host, request.uri().path(), request.headers());
        let (at, matched) = match found {
            Found::Route(found) => (found.index, found.matched),
            _ if !live.is_complete => return refuse(Refusal::NotReady, log),
            Found::NoPath => {
                self.count_host(&live, &sorted.host, &request, began);
                return refuse(Refusal::NoRoute, log);
            }
            Found::NoHost => return refuse(Refusal::NoRoute, log),
        };
        Flow { connection: self.clone(), live, at, matched, sorted, began }.start(request, log)
    }

    /// Whether the TLS connection was made for this host.
    fn admit(&self, sorted: Sorted) -> Result<Sorted, Refusal> {
        let name = self.tls.as_ref().and_then(|session| session.server_name.as_deref());
        let acceptor = &self.worker.shared.acceptor;
        if name.is_none_or(|name| acceptor.covers(Some(name), &sorted.host)) {
            Ok(sorted)
        } else {
            Err(Refusal::Misdirected)
        }
    }

    /// Until it must end at once: the proxy stops, or the client's certificate was revoked.
    pub(crate) async fn ended(&self) {
        match &self.tls {
            Some(session) => tokio::select! {
                () = self.end.cancelled() => {}
                () = session.revoked.cancelled() => {}
            },
            None => self.end.cancelled().await,
        }
    }

    fn refuse(&self, refusal: Refusal) -> Response<Answer> {
        self.worker.refused(refusal);
        answer::refused(refusal)
    }

    /// Refuses a request that has no route.
    fn refuse_logged(&self, refusal: Refusal, log: Option<Box<Logged>>) -> Response<Answer> {
        if let Some(log) = log {
            log.write(
                &self.worker,
                &Ended {
                    status: refusal.status(),
                    error: Some(refusal.as_str()),
                    added: Duration::ZERO,
                    request_bytes: 0,
                    response_bytes: 0,
                    trace: None,
                },
            );
        }
        self.refuse(refusal)
    }

    /// Counts a request for a path that a configured host does not have.
    fn count_host(&self, live: &Live, host: &str, request: &Request<Incoming>, began: Instant) {
        let Some(stats) = live.host(host) else { return };
        let subject = Subject {
            route: stats.clone(),
            method: request.method().clone(),
            trace: None,
            meter: None,
        };
        let mut whole = Whole::begin(&self.worker, subject, began, None);
        whole.answered(Refusal::NoRoute.status(), Duration::ZERO);
        whole.failed(Refusal::NoRoute.as_str());
        whole.finish();
    }
}
