//! One request as the client sees it, from its head until the last byte of its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};

use super::attempt::Subject;
use super::logged::{Ended, Logged};
use crate::proxy::backend::Backend;
use crate::proxy::failure::Failure;
use crate::proxy::stats;
use crate::proxy::worker::Worker;

/// The request. Dropped before it ended, the client gave it up.
pub(crate) struct Whole {
    worker: Arc<Worker>,
    subject: Subject,
    began: Instant,
    /// What the proxy itself added up to the head of the answer.
    added: Duration,
    status: Option<StatusCode>,
    error: Option<&'static str>,
    pub(crate) response_bytes: u64,
    /// Where there is an access log.
    log: Option<Box<Logged>>,
    has_ended: bool,
}

impl Whole {
    pub(crate) fn begin(
        worker: &Arc<Worker>,
        subject: Subject,
        began: Instant,
        log: Option<Box<Logged>>,
    ) -> Self {
        subject.route.began(worker.index);
        Self {
            worker: worker.clone(),
            subject,
            began,
            added: Duration::ZERO,
            status: None,
            error: None,
            response_bytes: 0,
            log,
            has_ended: false,
        }
    }

    /// The request's method.
    pub(crate) fn method(&self) -> &Method {
        &self.subject.method
    }

    /// The head of the answer is passed on after `waited` for connections and pods.
    pub(crate) fn answered(&mut self, status: StatusCode, waited: Duration) {
        self.status = Some(status);
        self.added = self.began.elapsed().saturating_sub(waited);
    }

    /// It is this pod that answers.
    pub(crate) fn answered_by(&mut self, backend: &Backend) {
        if let Some(log) = &mut self.log {
            log.answered(backend.labels.load_full());
        }
    }

    /// Why the answer is the proxy's own, or not whole.
    pub(crate) fn failed(&mut self, error: &'static str) {
        self.error = Some(error);
    }

    /// The last byte of the answer was taken.
    pub(crate) fn finish(&mut self) {
        if self.has_ended {
            return;
        }
        self.has_ended = true;
        let request = stats::Request {
            method: &self.subject.method,
            // What nginx made the field's word for a client that did not wait.
            status: self.status.or(StatusCode::from_u16(499).ok()).unwrap_or_default(),
            error: self.error,
            total: self.began.elapsed(),
            added: self.added,
            request_bytes: self.subject.request_bytes(),
            response_bytes: self.response_bytes,
            trace: self.subject.trace,
        };
        self.subject.route.ended(self.worker.index, &request);
        if let Some(log) = self.log.take() {
            log.write(
                &self.worker,
                &Ended {
                    status: request.status,
                    error: request.error,
                    added: request.added,
                    request_bytes: request.request_bytes,
                    response_bytes: request.response_bytes,
                    trace: request.trace,
                },
            );
        }
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if !self.has_ended {
            self.error.get_or_insert(Failure::ClientGone.as_str());
            self.finish();
        }
    }
}
