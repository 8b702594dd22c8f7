//! What hyper writes: passed on as it is, and watched for a client that takes nothing.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::{Protocol, Stream};
use crate::proxy::guard::http1::Place;

/// How long a client may go on sending what nobody will read. Closed before, the kernel would answer its bytes with a
/// reset, and the reset can overtake the answer (RFC 9112, 9.6).
const LINGER: Duration = Duration::from_secs(2);

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        let outcome = Pin::new(&mut stream.inner).poll_write(cx, buf);
        stream.note_written(cx, outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        let outcome = Pin::new(&mut stream.inner).poll_write_vectored(cx, bufs);
        stream.note_written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        let outcome = Pin::new(&mut stream.inner).poll_flush(cx);
        stream.note_progress(cx, outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        if stream.lingering.is_none() {
            let outcome = Pin::new(&mut stream.inner).poll_shutdown(cx);
            ready!(stream.note_progress(cx, outcome))?;
        }
        let until = *stream.lingering.get_or_insert_with(|| Instant::now() + LINGER);
        // Only where the client may be in the middle of something is there anything to wait for.
        let is_http2 = stream.protocol() == Protocol::Http2;
        if is_http2 || matches!(stream.place(), Place::Between | Place::Raw) {
            return Poll::Ready(Ok(()));
        }
        stream.poll_linger(cx, until).map(Ok)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream<T> {
    fn note_written(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = outcome {
            self.verdict.count_sent(bytes);
            if self.place() != Place::Raw {
                self.note_active(Instant::now());
            }
        }
        self.note_progress(cx, outcome)
    }

    /// Fails when the client has taken nothing for too long, or too little until the whole answer was due.
    fn note_progress<R>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if outcome.is_ready() {
            self.stalled = None;
        } else if self.place() != Place::Raw {
            let since = *self.stalled.get_or_insert_with(Instant::now);
            let until = since + self.terms.write;
            let until = self.verdict.due().map_or(until, |due| until.min(due));
            if self.write_alarm.is_due(cx, until) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        outcome
    }

    /// Reads and throws away until the client has closed as well, or for as long as can be waited.
    fn poll_linger(&mut self, cx: &mut Context<'_>, until: Instant) -> Poll<()> {
        let mut scratch = [MaybeUninit::uninit(); 4096];
        // Asked here as well: a client that never pauses leaves the alarm no turn.
        while Instant::now() < until {
            let mut buf = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut self.inner).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    self.verdict.count_received(buf.filled().len());
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending if self.read_alarm.is_due(cx, until) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}
