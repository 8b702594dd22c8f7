//! One try at one pod, from a connection on until the last byte of its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};

use super::upload::Meter;
use crate::proxy::backend::shared::Place;
use crate::proxy::backend::{Backend, Busy};
use crate::proxy::clock;
use crate::proxy::failure::Failure;
use crate::proxy::stats::{self, Outcome, RouteStats, TraceId};
use crate::proxy::worker::Worker;

/// What stays the same for all attempts of a request.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) route: Arc<RouteStats>,
    pub(crate) method: Method,
    pub(crate) trace: Option<TraceId>,
    /// Of the request's body, if it has one.
    pub(crate) meter: Option<Arc<Meter>>,
}

impl Subject {
    pub(crate) fn request_bytes(&self) -> u64 {
        self.meter.as_ref().map_or(0, |meter| meter.bytes())
    }
}

/// The attempt. Dropped before it ended, it counts as given up by the client.
pub(crate) struct Attempt {
    worker: Arc<Worker>,
    busy: Busy,
    subject: Subject,
    /// When a connection was to be had; before that, when one was asked for.
    began: Instant,
    first_byte: Option<Duration>,
    status: Option<StatusCode>,
    pub(crate) response_bytes: u64,
    has_ended: bool,
    /// Among the streams of a shared connection.
    place: Option<Place>,
}

impl Attempt {
    pub(crate) fn begin(worker: &Arc<Worker>, busy: Busy, subject: Subject) -> Self {
        busy.backend().stats.began(worker.index);
        Self {
            worker: worker.clone(),
            busy,
            subject,
            began: Instant::now(),
            first_byte: None,
            status: None,
            response_bytes: 0,
            has_ended: false,
            place: None,
        }
    }

    /// It has a place among the streams of a shared connection, until it is dropped.
    pub(crate) fn occupy(&mut self, place: Option<Place>) {
        self.place = place;
    }

    /// Whether the client's part of the request broke off.
    pub(crate) fn is_broken(&self) -> bool {
        self.subject.meter.as_ref().is_some_and(|meter| meter.broken().is_some())
    }

    /// Whether it goes over a shared connection.
    pub(crate) fn is_shared(&self) -> bool {
        self.place.is_some()
    }

    pub(crate) fn backend(&self) -> &Arc<Backend> {
        self.busy.backend()
    }

    /// A connection was made: the pod's time runs from here.
    pub(crate) fn connected(&mut self) {
        self.began = Instant::now();
    }

    /// From when on the pod's time counts: a client that is slow to send makes no pod slow.
    fn start(&self) -> Instant {
        let sent = self.subject.meter.as_ref().and_then(|meter| meter.ended());
        sent.map_or(self.began, |sent| sent.max(self.began))
    }

    /// The head of the answer came.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.began = self.start();
        let took = self.began.elapsed();
        self.first_byte = Some(took);
        self.status = Some(status);
        self.busy.backend().latency.observe(clock::now(), took);
        self.busy.worked();
    }

    /// The answer came whole.
    pub(crate) fn finish(&mut self) {
        if let Some(status) = self.status {
            self.busy.finished();
            self.end(Outcome::Answered(status));
        }
    }

    /// It failed.
    pub(crate) fn fail(&mut self, failure: Failure) {
        if failure == Failure::FirstByteTimeout {
            // So that others are asked before it for a while.
            self.busy.backend().latency.observe(clock::now(), self.start().elapsed());
        }
        if failure.is_the_pods() {
            self.busy.failed(clock::now(), &self.worker.settings().ejection);
        }
        self.end(Outcome::Failed(failure, self.status));
    }

    /// It was given up, and not for the pod's fault.
    pub(crate) fn give_up(&mut self, failure: Failure) {
        self.end(Outcome::Failed(failure, self.status));
    }

    /// It told nothing of the pod: a kept connection that the pod closed before it answered.
    pub(crate) fn forget(mut self) {
        self.has_ended = true;
        self.busy.backend().stats.abandoned(self.worker.index);
    }

    fn end(&mut self, outcome: Outcome) {
        if self.has_ended {
            return;
        }
        self.has_ended = true;
        if self.status.is_none() {
            self.began = self.start();
        }
        let attempt = stats::Attempt {
            method: &self.subject.method,
            outcome,
            first_byte: self.first_byte,
            total: self.began.elapsed(),
            request_bytes: self.subject.request_bytes(),
            response_bytes: self.response_bytes,
            trace: self.subject.trace,
        };
        self.busy.backend().stats.ended(self.worker.index, &self.subject.route, &attempt);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.has_ended {
            self.end(Outcome::Failed(Failure::ClientGone, self.status));
        }
    }
}
