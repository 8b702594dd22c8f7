//! What stands between a pod's answer and hyper: the heads of answers, read as strictly as those of requests.
//!
//! A pod whose answer has two readings can be made to desynchronise whatever is in front of the proxy, or the proxy's
//! own connection to it. Bodies are not looked at: hyper reads their chunks, and notices bytes behind an answer.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::fields::{Fields, Framing, Section, is_control};
use super::http1::Limits;
use crate::proxy::failure::Failure;
use crate::proxy::refusal::Refusal;

/// Why a pod's answer is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The application speaks something else on this port, or an HTTP/1 of its own.
    #[error("the answer's status line is not HTTP/1.0 or HTTP/1.1, a status and a reason")]
    StatusLine,
    /// The header section is one that a request would be refused for.
    #[error("the answer's head is refused: {}", .0.sentence())]
    Fields(Refusal),
    /// A status that has no body comes with one, so that some read it and some do not.
    #[error("the answer announces a body where its status allows none")]
    Bodiless,
}

impl Fault {
    /// How the attempt failed.
    #[must_use]
    pub fn failure(self) -> Failure {
        match self {
            Self::Fields(Refusal::Headers) => Failure::ResponseHeaders,
            _ => Failure::BadResponse,
        }
    }
}

/// Follows the head of one answer, with the informational ones before it.
#[derive(Clone, Debug)]
pub struct Answer {
    limits: Limits,
    state: State,
    /// Bytes of all heads of this answer.
    head: usize,
    line_bytes: usize,
    status: u16,
    is_old: bool,
    fields: Fields,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Line,
    Reason,
    LineLf,
    Fields,
    Done,
}

impl Answer {
    /// Before the first byte of an answer.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Line,
            head: 0,
            line_bytes: 0,
            status: 0,
            is_old: false,
            fields: Fields::new(Section::Answer, false, limits.headers),
        }
    }

    /// Reads on; true when the head that is not informational ended in these bytes. What is behind it is not read.
    ///
    /// # Errors
    ///
    /// When the answer is not to be taken.
    pub fn read(&mut self, bytes: &[u8]) -> Result<bool, Fault> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            let room = self.limits.head_bytes - self.head;
            let window = &bytes[at..][..room.min(bytes.len() - at)];
            if window.is_empty() {
                return Err(Fault::Fields(Refusal::Headers));
            }
            let read = self.step(window)?;
            self.head += read;
            at += read;
        }
        Ok(self.state == State::Done)
    }

    fn step(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let byte = bytes[0];
        match self.state {
            State::Line => self.read_line(byte)?,
            State::Reason if byte == b'\r' => self.state = State::LineLf,
            State::Reason if byte == b'\n' => return Err(Fault::Fields(Refusal::BareLf)),
            State::Reason if is_control(byte) => return Err(Fault::StatusLine),
            State::LineLf if byte == b'\n' => {
                self.fields = Fields::new(Section::Answer, self.is_old, self.limits.headers);
                self.state = State::Fields;
            }
            State::LineLf => return Err(Fault::Fields(Refusal::BareCr)),
            State::Fields => {
                let (read, done) = self.fields.read(bytes).map_err(Fault::Fields)?;
                if done {
                    self.end_head()?;
                }
                return Ok(read);
            }
            State::Reason | State::Done => {}
        }
        Ok(1)
    }

    /// One byte of `HTTP/1.x NNN` and of what ends it: a space, or the line's end where there is no reason, as several
    /// servers write it.
    fn read_line(&mut self, byte: u8) -> Result<(), Fault> {
        let is_expected = match self.line_bytes {
            at @ 0..=6 => byte == b"HTTP/1."[at],
            7 => {
                self.is_old = byte == b'0';
                matches!(byte, b'0' | b'1')
            }
            8 => byte == b' ',
            9..=11 => {
                self.status = self.status * 10 + u16::from(byte.wrapping_sub(b'0'));
                byte.is_ascii_digit() && self.status > 0
            }
            _ => {
                self.state = if byte == b' ' { State::Reason } else { State::LineLf };
                matches!(byte, b' ' | b'\r')
            }
        };
        self.line_bytes += 1;
        match byte {
            b'\n' => Err(Fault::Fields(Refusal::BareLf)),
            _ if is_expected => Ok(()),
            _ => Err(Fault::StatusLine),
        }
    }

    fn end_head(&mut self) -> Result<(), Fault> {
        let is_informational = self.status < 200;
        let has_body = !matches!(self.fields.framing(), None | Some(Framing::Length(0)));
        if has_body && (is_informational || self.status == 204) {
            return Err(Fault::Bodiless);
        }
        if is_informational && self.status != 101 {
            self.state = State::Line;
            self.line_bytes = 0;
            self.status = 0;
        } else {
            self.state = State::Done;
        }
        Ok(())
    }
}

/// How a forwarder and the tap on its connection understand each other.
#[derive(Debug, Default)]
pub struct HeadGate {
    is_expected: AtomicBool,
    fault: OnceLock<Fault>,
}

impl HeadGate {
    /// The next byte from the pod begins an answer. To be called when the connection is ready for a request, right
    /// before the request is sent.
    pub fn expect(&self) {
        self.is_expected.store(true, Ordering::Release);
    }

    /// Why the connection failed, if it was for what the pod said.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.fault.get().copied()
    }
}

/// Wraps a connection to a pod. It has tokio's traits; hyper takes it in a `TokioIo`.
#[derive(Debug)]
pub struct Tap<T> {
    inner: T,
    limits: Limits,
    gate: Arc<HeadGate>,
    answer: Option<Answer>,
}

impl<T> Tap<T> {
    /// Before the first request.
    pub fn new(inner: T, limits: Limits) -> Self {
        Self { inner, limits, gate: Arc::default(), answer: None }
    }

    /// For the forwarder that sends requests on this connection.
    #[must_use]
    pub fn gate(&self) -> Arc<HeadGate> {
        Arc::clone(&self.gate)
    }

    /// Reads what the pod sent.
    fn check(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if let Some(fault) = self.gate.fault() {
            return Err(fault);
        }
        if !bytes.is_empty() && self.gate.is_expected.swap(false, Ordering::Acquire) {
            self.answer = Some(Answer::new(self.limits));
        }
        if let Some(answer) = &mut self.answer
            && answer.read(bytes)?
        {
            self.answer = None;
        }
        Ok(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Tap<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let tap = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut tap.inner).poll_read(cx, buf))?;
        if let Err(fault) = tap.check(&buf.filled()[before..]) {
            // What hyper had of the head before was good as far as it went, and without an end it is no answer.
            buf.set_filled(before);
            let fault = *tap.gate.fault.get_or_init(|| fault);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, fault)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Tap<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
