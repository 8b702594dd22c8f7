//! A client's byte stream as hyper gets to see it.
//!
//! Every byte is read by [`Scanner`] or [`Follower`] before hyper has it. Whole requests go through without being
//! copied; the begin of a head is held back until its end has come, so that of a refused head hyper sees nothing.
//!
//! hyper answers the requests of a connection in their order, and a refusal must keep to that: in the place of the
//! refused bytes hyper is given a stand-in, one harmless request, and the [`Verdict`] tells the service that its
//! n-th call is for the stand-in and why. Nothing of what comes afterwards is read as HTTP. A fault inside a body is
//! an [`io::Error`] of kind [`InvalidData`](io::ErrorKind::InvalidData), as the request is being answered already.

mod read;
mod write;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::alarm::Alarm;
use super::http1::{Limits, Place, Scanner};
use super::http2::{Follower, PREFACE};
use super::verdict::Verdict;
use crate::proxy::refusal::Refusal;
use crate::proxy::settings;

/// The longest target: several times what browsers and servers agree on.
pub(crate) const TARGET_BYTES: usize = 16 << 10;
/// What the first read of a connection takes at most, before it is known what the client speaks.
const FIRST_READ: usize = 4 << 10;

/// The bounds of one client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Of heads.
    pub limits: Limits,
    /// For a head, from its first byte on.
    pub head: Duration,
    /// Between two requests, and before the first.
    pub idle: Duration,
    /// For the client to take anything of what is being sent.
    pub write: Duration,
}

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Wraps a client's stream. It has tokio's traits; hyper takes it in a `TokioIo`, which copies nothing either.
#[derive(Debug)]
pub struct Stream<T> {
    inner: T,
    terms: Terms,
    verdict: Arc<Verdict>,
    mode: Mode,
    held: Held,
    /// A fault inside a body, to be told when what came before it was taken.
    broken: Option<Refusal>,
    /// Since when a head, or what is like one in HTTP/2, is not whole, and the number of its turn.
    waiting: Option<(u64, Instant)>,
    /// When a byte last went either way; of HTTP/2 one that has to do with a request.
    active: Instant,
    /// How many requests of HTTP/2 had begun and had ended then.
    turns: u64,
    read_alarm: Alarm,
    /// Since when the client takes nothing.
    stalled: Option<Instant>,
    write_alarm: Alarm,
    /// The client was idle for too long: hyper is told that it closed.
    is_over: bool,
    /// How much was thrown away behind a refused request.
    swallowed: usize,
    lingering: Option<Instant>,
}

#[derive(Debug)]
enum Mode {
    Http1(Box<Scanner>),
    Http2(Box<Follower>),
}

/// Bytes that were read and that hyper does not have: first what it may have, then what was scanned and is not whole,
/// then what was not scanned.
#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    taken: usize,
    ready: usize,
    scanned: usize,
}

impl Terms {
    /// From what the proxy was told.
    #[must_use]
    pub fn new(timeouts: &settings::Timeouts, limits: &settings::Limits) -> Self {
        Self {
            limits: Limits {
                head_bytes: limits.head_bytes,
                headers: limits.headers,
                target_bytes: TARGET_BYTES.min(limits.head_bytes),
            },
            head: timeouts.client_head,
            idle: timeouts.client_idle,
            write: timeouts.idle,
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream<T> {
    /// For a client that is known to speak this protocol, from ALPN.
    pub fn new(inner: T, protocol: Protocol, terms: Terms) -> Self {
        let mode = match protocol {
            Protocol::Http1 => Mode::Http1(Box::new(Scanner::new(terms.limits))),
            Protocol::Http2 => Mode::Http2(Box::default()),
        };
        Self {
            inner,
            terms,
            verdict: Arc::default(),
            mode,
            held: Held::default(),
            broken: None,
            waiting: None,
            active: Instant::now(),
            turns: 0,
            read_alarm: Alarm::default(),
            stalled: None,
            write_alarm: Alarm::default(),
            is_over: false,
            swallowed: 0,
            lingering: None,
        }
    }

    /// Waits for the client's first bytes to see what it speaks. The first one may take as long as the pause between
    /// two requests, the rest as long as a head; then the client is answered as one of HTTP/1 that is too slow.
    ///
    /// # Errors
    ///
    /// When the client sends nothing, or goes: there is nobody to be answered.
    pub async fn sniff(mut inner: T, terms: Terms) -> io::Result<Self> {
        let mut bytes = Vec::with_capacity(FIRST_READ);
        let opened = Instant::now();
        let mut begun = None;
        while bytes.len() < PREFACE.len() && PREFACE.starts_with(&bytes) {
            let deadline = begun.map_or(opened + terms.idle, |begun| begun + terms.head);
            match timeout_at(deadline, inner.read_buf(&mut bytes)).await {
                Ok(Ok(0)) if bytes.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(_) if bytes.is_empty() => return Err(io::ErrorKind::TimedOut.into()),
                Ok(Ok(0)) | Err(_) => break,
                Ok(Ok(_)) => begun = begun.or_else(|| Some(Instant::now())),
                Ok(Err(error)) => return Err(error),
            }
        }
        let is_http2 = bytes.starts_with(PREFACE);
        let protocol = if is_http2 { Protocol::Http2 } else { Protocol::Http1 };
        let mut stream = Self::new(inner, protocol, terms);
        stream.verdict.count_received(bytes.len());
        stream.held.bytes = bytes;
        // The head's time runs from its first byte on, not from here.
        stream.active = begun.unwrap_or(opened);
        stream.follow_held();
        Ok(stream)
    }

    /// What the client speaks.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        match self.mode {
            Mode::Http1(_) => Protocol::Http1,
            Mode::Http2(_) => Protocol::Http2,
        }
    }

    /// For the service that answers on this connection.
    #[must_use]
    pub fn verdict(&self) -> Arc<Verdict> {
        Arc::clone(&self.verdict)
    }

    /// What is wrapped, for instance to ask for the peer's certificate.
    #[must_use]
    pub fn inner(&self) -> &T {
        &self.inner
    }

    /// Follows what is held and was not followed yet.
    fn follow_held(&mut self) {
        let held = &mut self.held;
        let fresh = &held.bytes[held.scanned..];
        match &mut self.mode {
            Mode::Http1(scanner) => {
                let scan = scanner.scan(fresh);
                if scan.passed > 0 {
                    held.ready = held.scanned + scan.passed;
                }
                held.scanned += scan.read;
                self.settle(scan.refusal);
            }
            Mode::Http2(follower) => {
                match follower.follow(fresh, Instant::now(), self.verdict.sent()) {
                    Ok(()) => {
                        held.scanned = held.bytes.len();
                        held.ready = held.scanned;
                    }
                    Err(reason) => self.break_off(reason),
                }
            }
        }
        self.note_waiting();
    }

    /// Acts on what a scan refused.
    fn settle(&mut self, refusal: Option<Refusal>) {
        let Mode::Http1(scanner) = &self.mode else { return };
        match refusal {
            None => {}
            // A body had begun: its request is the last one whose head was good.
            Some(reason @ (Refusal::Chunk | Refusal::Trailer)) => self.break_off(reason),
            Some(reason) => self.refuse(scanner.requests() + 1, reason),
        }
    }

    /// Puts the stand-in where the refused request would be.
    fn refuse(&mut self, number: u64, reason: Refusal) {
        const STAND_IN: &[u8] =
            b"GET / HTTP/1.1\r\nhost: refused.invalid\r\nconnection: close\r\n\r\n";
        self.verdict.refuse(number, reason);
        if let Mode::Http1(scanner) = &mut self.mode {
            scanner.refuse();
        }
        self.held.bytes.truncate(self.held.ready);
        self.held.bytes.extend_from_slice(STAND_IN);
        self.held.ready = self.held.bytes.len();
        self.held.scanned = self.held.ready;
        self.waiting = None;
    }

    /// Nothing can follow what hyper may already have.
    fn break_off(&mut self, reason: Refusal) {
        self.verdict.break_off(reason);
        self.broken = Some(reason);
        self.held.bytes.truncate(self.held.ready);
        self.held.scanned = self.held.ready;
        self.waiting = None;
    }

    /// Starts the head's time when one has begun, and stops it when it is whole.
    fn note_waiting(&mut self) {
        let (is_waiting, turn) = match &self.mode {
            Mode::Http1(scanner) => (scanner.place() == Place::Head, scanner.requests()),
            Mode::Http2(follower) => (follower.is_waiting(), follower.frames()),
        };
        if !is_waiting || self.broken.is_some() {
            self.waiting = None;
        } else if self.waiting.is_none_or(|(begun, _)| begun != turn) {
            let since = match self.mode {
                Mode::Http1(_) => self.active,
                Mode::Http2(_) => Instant::now(),
            };
            self.waiting = Some((turn, since));
        }
    }
}

impl Held {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What hyper may have.
    fn ready(&self) -> &[u8] {
        &self.bytes[self.taken..self.ready]
    }

    /// Says how much of it hyper took. The room is given back when nothing is left, as few connections ever need it.
    fn take(&mut self, bytes: usize) {
        self.taken += bytes;
        if self.taken == self.bytes.len() {
            *self = Self::default();
        } else if self.taken == self.ready {
            self.bytes.drain(..self.taken);
            self.scanned -= self.taken;
            (self.taken, self.ready) = (0, 0);
        }
    }
}

/// The bytes are a client's secrets.
impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
