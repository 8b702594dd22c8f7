//! A request's body on its way to the pod.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use http::HeaderMap;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::idle::Idle;
use crate::proxy::guard::fields::is_forbidden_trailer;
use crate::proxy::refusal::Refusal;

/// What became of a body, for whoever waits for the answer.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    bytes: AtomicU64,
    /// The pod would take more, and the client has not sent it.
    is_awaited: AtomicBool,
    /// Why it broke off: a [`Refusal`] and one more, 0 for none.
    broken: AtomicU8,
    /// When its last byte went on.
    ended: OnceLock<Instant>,
}

impl Meter {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// When its last byte went on.
    pub(crate) fn ended(&self) -> Option<Instant> {
        self.ended.get().copied()
    }

    fn end(&self) {
        self.ended.get_or_init(Instant::now);
    }

    /// Whether it is the client that is waited for.
    pub(crate) fn is_awaited(&self) -> bool {
        self.is_awaited.load(Relaxed)
    }

    /// The client took longer than the whole request may.
    pub(crate) fn give_up(&self) {
        self.break_off(Refusal::BodyTimeout);
    }

    /// Why the client's part broke off.
    pub(crate) fn broken(&self) -> Option<Refusal> {
        let at = usize::from(self.broken.load(Relaxed));
        at.checked_sub(1).and_then(|at| Refusal::ALL.get(at).copied())
    }

    fn break_off(&self, why: Refusal) -> Broken {
        self.broken.store(why as u8 + 1, Relaxed);
        Broken
    }
}

/// The body broke off; the [`Meter`] says why.
#[derive(Debug, thiserror::Error)]
#[error("the client's body broke off")]
pub(crate) struct Broken;

/// The body: counted, bounded, and not waited for for ever.
#[derive(Debug)]
pub(crate) struct Upload {
    client: Option<Box<Client>>,
}

#[derive(Debug)]
struct Client {
    body: Incoming,
    meter: Arc<Meter>,
    /// Bytes that may still come.
    left: u64,
    idle: Idle,
}

impl Upload {
    /// No body.
    pub(crate) const EMPTY: Self = Self { client: None };

    /// The client's body, at most `most` bytes of it and never silent for longer than `idle`.
    pub(crate) fn new(body: Incoming, meter: Arc<Meter>, most: u64, idle: Duration) -> Self {
        let idle = Idle::new(idle);
        Self { client: Some(Box::new(Client { body, meter, left: most, idle })) }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Some(client) = &mut self.client else {
            return Poll::Ready(None);
        };
        let frame = match Pin::new(&mut client.body).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                client.meter.is_awaited.store(true, Relaxed);
                ready!(client.idle.poll_expired(cx));
                return Poll::Ready(Some(Err(client.meter.break_off(Refusal::BodyTimeout))));
            }
        };
        client.idle.progress();
        client.meter.is_awaited.store(false, Relaxed);
        match frame {
            None => {
                client.meter.end();
                Poll::Ready(None)
            }
            // Which of the grammar's rules it broke is known where the bytes are read.
            Some(Err(_)) => Poll::Ready(Some(Err(client.meter.break_off(Refusal::Chunk)))),
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                let mut trailers = frame.trailers_ref().into_iter().flat_map(HeaderMap::keys);
                if trailers.any(|name| is_forbidden_trailer(name.as_str().as_bytes())) {
                    return Poll::Ready(Some(Err(client.meter.break_off(Refusal::Trailer))));
                }
                client.meter.bytes.fetch_add(length, Relaxed);
                if frame.is_trailers() || client.body.is_end_stream() {
                    client.meter.end();
                }
                match client.left.checked_sub(length) {
                    Some(left) => {
                        client.left = left;
                        Poll::Ready(Some(Ok(frame)))
                    }
                    None => Poll::Ready(Some(Err(client.meter.break_off(Refusal::BodyTooLarge)))),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.client.as_ref().is_none_or(|client| client.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.client
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), |client| client.body.size_hint())
    }
}
