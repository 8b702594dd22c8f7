//! A pod's answer on its way to the client.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::attempt::Attempt;
use super::idle::Idle;
use super::whole::Whole;
use crate::proxy::backend::link::Link;
use crate::proxy::failure::Failure;
use crate::proxy::worker::Worker;

/// The answer broke off. The client's connection is cut, so that it never takes a part for the whole.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.sentence())]
pub(crate) struct CutOff(Failure);

/// The body: counted, driven, not waited for for ever, and measured to its end.
pub(crate) struct Download {
    body: Incoming,
    link: Option<Box<Link>>,
    attempt: Attempt,
    whole: Whole,
    idle: Idle,
    /// When the whole request must be over.
    deadline: Option<Pin<Box<Sleep>>>,
    worker: std::sync::Arc<Worker>,
    /// The answer has no body, whatever its head says of one: to HEAD, and of 204 and 304.
    is_bodiless: bool,
}

/// What a body is made from.
pub(crate) struct Parts {
    pub(crate) body: Incoming,
    pub(crate) link: Option<Box<Link>>,
    pub(crate) attempt: Attempt,
    pub(crate) whole: Whole,
    pub(crate) idle: Duration,
    pub(crate) deadline: Option<Instant>,
    pub(crate) worker: std::sync::Arc<Worker>,
    pub(crate) is_bodiless: bool,
}

impl Download {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            body: parts.body,
            link: parts.link,
            attempt: parts.attempt,
            whole: parts.whole,
            idle: Idle::new(parts.idle),
            deadline: parts.deadline.map(|at| Box::pin(sleep_until(at))),
            worker: parts.worker,
            is_bodiless: parts.is_bodiless,
        }
    }

    /// The answer is whole: everything is measured, and the connection is kept if it can be.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>) {
        self.attempt.finish();
        self.whole.finish();
        let Some(mut link) = self.link.take() else { return };
        let backend = self.attempt.backend();
        if !backend.is_gone() && link.is_reusable(cx) {
            backend.pool(self.worker.index).put(link, self.worker.settings().limits.backend_idle);
        }
    }

    fn fail(&mut self, failure: Failure) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        self.attempt.fail(failure);
        self.whole.failed(failure.as_str());
        self.whole.finish();
        self.link = None;
        Poll::Ready(Some(Err(CutOff(failure))))
    }

    /// It ended for what the client did or for want of time. The pod did answer, and how fast the client takes it in is
    /// not its fault: one that stands still is told by `idle`.
    fn give_up(&mut self, failure: Failure) {
        self.attempt.give_up(failure);
        self.whole.failed(failure.as_str());
        self.whole.finish();
        self.link = None;
    }

    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.link {
            Some(link) => link.poll_body(&mut self.body, cx),
            None => Pin::new(&mut self.body).poll_frame(cx),
        }
    }

    /// Whether all of it has come. The end of a stream of HTTP/2 may be a frame of its own, which nobody waits for where
    /// the length is known.
    fn is_whole(&self) -> bool {
        self.body.is_end_stream() || self.body.size_hint().exact() == Some(0)
    }

    /// Whether the time for the whole request is over.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.deadline.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready())
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        let cx = &mut Context::from_waker(Waker::noop());
        // An answer without a body is never asked for one.
        if self.is_bodiless || self.is_whole() {
            self.finish(cx);
        } else if self.is_over(cx) {
            // The client took too little of it, and so the body was not asked for more.
            self.give_up(Failure::RequestTimeout);
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        let this = &mut *self;
        // Asked also while there is something to send: a client that takes a little now and then leaves no pause.
        if this.is_over(cx) {
            this.give_up(Failure::RequestTimeout);
            return Poll::Ready(Some(Err(CutOff(Failure::RequestTimeout))));
        }
        match this.poll_body(cx) {
            Poll::Pending => match this.idle.poll_expired(cx) {
                Poll::Ready(()) => this.fail(Failure::IdleTimeout),
                Poll::Pending => Poll::Pending,
            },
            // A stream that was reset without a fault has no end either.
            Poll::Ready(None) if this.attempt.is_shared() && !this.body.is_end_stream() => {
                this.fail(Failure::BodyIncomplete)
            }
            Poll::Ready(None) => {
                this.finish(cx);
                Poll::Ready(None)
            }
            // What the client did to its own request ends the answer as well.
            Poll::Ready(Some(Err(_))) if this.attempt.is_broken() => {
                this.give_up(Failure::RequestBody);
                Poll::Ready(Some(Err(CutOff(Failure::RequestBody))))
            }
            Poll::Ready(Some(Err(_))) => this.fail(Failure::BodyIncomplete),
            Poll::Ready(Some(Ok(frame))) => {
                this.idle.progress();
                let length = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                this.attempt.response_bytes += length;
                this.whole.response_bytes += length;
                // hyper does not ask again after the last byte of a known length, nor after trailers.
                if this.is_whole() || frame.is_trailers() {
                    this.finish(cx);
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
