//! What a connection's stream and its service tell each other past hyper.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Waker};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::proxy::refusal::Refusal;

/// Shared by the stream of one client's connection and the service that answers on it.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Requests that the service was called for.
    called: AtomicU64,
    /// Of these, the ones whose answer has ended.
    ended: AtomicU64,
    upgraded: AtomicBool,
    /// The number of the request, from 1, that hyper was given a stand-in for.
    refused: OnceLock<(u64, Refusal)>,
    broken: OnceLock<Refusal>,
    received: AtomicU64,
    sent: AtomicU64,
    /// The connection's task while it waits to learn whether it is upgraded.
    waiting: Mutex<Option<Waker>>,
    /// When the answer that is being sent must have gone.
    due: Mutex<Option<Instant>>,
    /// The client has asked for nothing for too long: a connection of HTTP/2 is to end in order.
    retired: CancellationToken,
}

/// One call of the service: held until the answer has ended, so that the connection is not taken for idle.
#[derive(Debug)]
#[must_use = "the request counts as answered when this is dropped"]
pub struct Turn {
    verdict: Arc<Verdict>,
    refused: Option<Refusal>,
}

impl Verdict {
    /// The service's first act for every request: says which one of the connection it is. Keep what it returns until
    /// the body of the answer has ended.
    pub fn next(self: &Arc<Self>) -> Turn {
        let number = self.called.fetch_add(1, SeqCst) + 1;
        let refused = self.refused.get().filter(|(refused, _)| *refused == number);
        Turn { verdict: Arc::clone(self), refused: refused.map(|(_, reason)| *reason) }
    }

    /// Why the connection can go no further: the reason why a request's body failed, or all of HTTP/2.
    #[must_use]
    pub fn broken(&self) -> Option<Refusal> {
        self.broken.get().copied()
    }

    /// The answer is 101: what comes next is another protocol's. To be called before the answer is given to hyper.
    pub fn upgrade(&self) {
        self.upgraded.store(true, SeqCst);
        self.wake();
    }

    /// The answer that is being given to hyper must have gone to the client by then. hyper does not ask its body for
    /// anything while the client takes nothing, so the body could not tell.
    pub(crate) fn end_by(&self, due: Instant) {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner) = Some(due);
    }

    /// When the answer that is being sent must have gone.
    pub(super) fn due(&self) -> Option<Instant> {
        *self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that came from the client, TLS apart.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Relaxed)
    }

    /// Bytes that went to the client, TLS apart.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    pub(super) fn refuse(&self, number: u64, reason: Refusal) {
        // There is one refusal to a connection: nothing is read after it.
        let _ = self.refused.set((number, reason));
    }

    pub(super) fn break_off(&self, reason: Refusal) {
        let _ = self.broken.set(reason);
    }

    /// Waits until the client has asked for nothing for too long.
    pub(crate) async fn retired(&self) {
        self.retired.cancelled().await;
    }

    pub(super) fn retire(&self) {
        self.retired.cancel();
    }

    /// How many requests have begun and have ended: grows with either.
    pub(super) fn turns(&self) -> u64 {
        self.called.load(SeqCst) + self.ended.load(SeqCst)
    }

    /// Whether a request is being answered.
    pub(super) fn is_busy(&self) -> bool {
        self.called.load(SeqCst) > self.ended.load(SeqCst)
    }

    /// Whether the connection was upgraded with the request of this number; `None` while it is being answered, and
    /// then the task is woken when it is known.
    pub(super) fn decision(&self, cx: &mut Context<'_>, number: u64) -> Option<bool> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that a decision is either seen here or finds the waker.
        if self.upgraded.load(SeqCst) {
            return Some(true);
        }
        if self.ended.load(SeqCst) >= number {
            return Some(false);
        }
        *waiting = Some(cx.waker().clone());
        None
    }

    pub(super) fn count_received(&self, bytes: usize) {
        count(&self.received, bytes);
    }

    pub(crate) fn count_sent(&self, bytes: usize) {
        count(&self.sent, bytes);
    }

    fn wake(&self) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = waiting {
            task.wake();
        }
    }
}

impl Turn {
    /// Why the request is to be refused. What hyper gave the service is then a stand-in that the client never sent:
    /// answer with the reason's status, and nothing else.
    #[must_use]
    pub fn refused(&self) -> Option<Refusal> {
        self.refused
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *self.verdict.due.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.verdict.ended.fetch_add(1, SeqCst);
        self.verdict.wake();
    }
}

/// Only the stream counts, from one task at a time, so no locked addition is needed.
fn count(counter: &AtomicU64, bytes: usize) {
    counter.store(counter.load(Relaxed) + bytes as u64, Relaxed);
}
