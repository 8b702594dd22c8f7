//! What hyper reads.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::{Mode, Stream};
use crate::proxy::guard::http1::Place;
use crate::proxy::refusal::Refusal;

/// What is thrown away behind a refused request while the requests before it are answered.
const SWALLOWED_BYTES: usize = 1 << 20;
/// What is kept behind a request for an upgrade until it is answered. It is read only to notice that a client is gone.
const UNDECIDED_BYTES: usize = 16 << 10;

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        loop {
            if stream.hand_over(buf) || stream.is_over {
                return Poll::Ready(Ok(()));
            }
            if let Some(reason) = stream.broken {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    reason.as_str(),
                )));
            }
            match stream.place() {
                Place::Raw => return stream.poll_raw(cx, buf),
                Place::Refused => return stream.poll_swallow(cx, buf),
                Place::Undecided if ready!(stream.poll_undecided(cx)) => continue,
                _ => {}
            }
            let before = buf.filled().len();
            match Pin::new(&mut stream.inner).poll_read(cx, buf) {
                Poll::Pending => {
                    ready!(stream.poll_late(cx));
                    continue;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                // The client's end. What is held of a head goes with it.
                Poll::Ready(Ok(())) if buf.filled().len() == before => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => stream.follow(buf, before),
            }
            if buf.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream<T> {
    pub(super) fn place(&self) -> Place {
        match &self.mode {
            Mode::Http1(scanner) => scanner.place(),
            Mode::Http2(_) => Place::Body,
        }
    }

    /// Gives hyper what is ready; false when nothing is.
    fn hand_over(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let ready = self.held.ready();
        let ready = &ready[..ready.len().min(buf.remaining())];
        let bytes = ready.len();
        buf.put_slice(ready);
        self.held.take(bytes);
        bytes > 0
    }

    /// Follows what was read into the buffer from `before` on, and leaves in it what hyper may have.
    fn follow(&mut self, buf: &mut ReadBuf<'_>, before: usize) {
        let now = Instant::now();
        self.note_active(now);
        let fresh = &buf.filled()[before..];
        self.verdict.count_received(fresh.len());
        if !self.held.is_empty() {
            self.held.bytes.extend_from_slice(fresh);
            buf.set_filled(before);
            self.follow_held();
            return;
        }
        match &mut self.mode {
            Mode::Http1(scanner) => {
                let scan = scanner.scan(fresh);
                self.held.bytes.extend_from_slice(&fresh[scan.passed..]);
                self.held.scanned = scan.read - scan.passed;
                buf.set_filled(before + scan.passed);
                self.settle(scan.refusal);
            }
            Mode::Http2(follower) => {
                if let Err(reason) = follower.follow(fresh, now, self.verdict.sent()) {
                    buf.set_filled(before);
                    self.break_off(reason);
                }
            }
        }
        self.note_waiting();
    }

    /// Another protocol's bytes, and its forwarder's business.
    fn poll_raw(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        self.verdict.count_received(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }

    /// Throws away what comes behind a refused request. Not even the end is told: hyper would take the client for gone
    /// and not send the answer.
    fn poll_swallow(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        while self.swallowed < SWALLOWED_BYTES {
            ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
            let bytes = buf.filled().len() - before;
            if bytes == 0 {
                break;
            }
            self.swallowed += bytes;
            self.verdict.count_received(bytes);
            buf.set_filled(before);
        }
        Poll::Pending
    }

    /// Behind a request for an upgrade: true when it is known how it was answered, false to go on reading for now.
    fn poll_undecided(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let Mode::Http1(scanner) = &mut self.mode else { return Poll::Ready(false) };
        match self.verdict.decision(cx, scanner.requests()) {
            Some(upgraded) => {
                scanner.decide(upgraded);
                self.follow_held();
                Poll::Ready(true)
            }
            None if self.held.bytes.len() < UNDECIDED_BYTES => Poll::Ready(false),
            None => Poll::Pending,
        }
    }

    /// Nothing came: ready when the client's time is up. A head that is late is refused like a bad one; when nothing of
    /// one came, the connection ends without a word.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some((_, since)) = self.waiting {
            if !self.read_alarm.is_due(cx, since + self.terms.head) {
                return Poll::Pending;
            }
            match &self.mode {
                Mode::Http1(scanner) => self.refuse(scanner.requests() + 1, Refusal::HeadTimeout),
                Mode::Http2(_) => self.break_off(Refusal::HeadTimeout),
            }
            return Poll::Ready(());
        }
        if !self.may_idle() {
            return Poll::Pending;
        }
        while self.read_alarm.is_due(cx, self.active + self.terms.idle) {
            if !self.verdict.is_busy() {
                // hyper says good-bye in HTTP/2, so that no request that is on its way is lost.
                if matches!(self.mode, Mode::Http2(_)) {
                    self.verdict.retire();
                    return Poll::Pending;
                }
                self.is_over = true;
                return Poll::Ready(());
            }
            // The pause begins with the end of the answer, whose last byte is noted when it is written.
            self.active = Instant::now();
        }
        Poll::Pending
    }

    /// A byte went. Pings keep no connection of HTTP/2 from being idle.
    pub(super) fn note_active(&mut self, now: Instant) {
        if matches!(self.mode, Mode::Http2(_)) {
            let turns = self.verdict.turns();
            if turns == self.turns && !self.verdict.is_busy() {
                return;
            }
            self.turns = turns;
        }
        self.active = now;
    }

    /// Whether the connection can be between two requests.
    fn may_idle(&self) -> bool {
        match &self.mode {
            Mode::Http1(scanner) => scanner.place() == Place::Between,
            Mode::Http2(_) => true,
        }
    }
}
