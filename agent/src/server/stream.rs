//! A connection's bytes, watched: an answer must be read within a time, and how far a request came is known.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How far a connection came, for whoever counts why it ended.
#[derive(Debug, Default)]
pub(super) struct Progress {
    answered: AtomicBool,
    asking: AtomicBool,
    too_slow: AtomicBool,
}

impl Progress {
    /// Between two requests: an end now is a normal one.
    pub(super) fn is_idle(&self) -> bool {
        self.answered.load(Ordering::Relaxed) && !self.asking.load(Ordering::Relaxed)
    }

    /// The client did not read its answer in time.
    pub(super) fn was_too_slow(&self) -> bool {
        self.too_slow.load(Ordering::Relaxed)
    }
}

/// Passes bytes through.
pub(super) struct Watched<S> {
    stream: S,
    progress: Arc<Progress>,
    limit: Duration,
    /// Runs from the first write that has to wait until all is written, so that reading a byte now and then does not help.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, limit: Duration) -> (Self, Arc<Progress>) {
        let progress = Arc::new(Progress::default());
        (Self { stream, progress: Arc::clone(&progress), limit, deadline: None }, progress)
    }

    /// What a write gave, or a fault once the time is over.
    fn judge(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_pending() { self.late(cx).map(Err) } else { written }
    }

    /// The fault, once the time is over.
    fn late(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let limit = self.limit;
        ready!(self.deadline.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx));
        self.progress.too_slow.store(true, Ordering::Relaxed);
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.progress.asking.store(true, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(&written);
        self.judge(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(&written);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_pending() {
            // TLS takes the last bytes of an answer before the client has room for them.
            return self.late(cx).map(Err);
        }
        self.deadline = None;
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        if shut.is_pending() { self.late(cx).map(Err) } else { shut }
    }
}

impl<S> Watched<S> {
    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(1..)) = written {
            self.progress.answered.store(true, Ordering::Relaxed);
            self.progress.asking.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    /// Writes 64 bytes through a pipe that holds 4, while they are read one by one every `pause`.
    async fn written(pause: Duration) -> (io::Result<()>, bool) {
        let (near, mut far) = duplex(4);
        let (mut watched, progress) = Watched::new(near, Duration::from_secs(10));
        let write = async {
            watched.write_all(&[0; 64]).await?;
            watched.flush().await
        };
        let read = async {
            while far.read_u8().await.is_ok() {
                sleep(pause).await;
            }
        };
        tokio::select! {
            outcome = write => (outcome, progress.was_too_slow()),
            () = read => unreachable!("the writer holds its end"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn reading_a_byte_now_and_then_does_not_stretch_the_time() {
        assert!(written(Duration::from_millis(100)).await.0.is_ok());
        let (outcome, too_slow) = written(Duration::from_secs(1)).await;
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(too_slow);
    }

    #[tokio::test(start_paused = true)]
    async fn what_lies_in_a_buffer_must_be_taken_in_time_too() {
        let (near, _far) = duplex(4);
        let buffered = tokio::io::BufWriter::new(near);
        let (mut watched, progress) = Watched::new(buffered, Duration::from_secs(10));
        watched.write_all(&[0; 64]).await.unwrap();
        assert_eq!(watched.flush().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(progress.was_too_slow());
    }

    #[tokio::test(start_paused = true)]
    async fn idle_is_what_lies_between_an_answer_and_the_next_request() {
        let (near, mut far) = duplex(64);
        let (mut watched, progress) = Watched::new(near, Duration::from_secs(10));
        assert!(!progress.is_idle(), "nothing was answered yet");
        far.write_all(b"ask").await.unwrap();
        watched.read_exact(&mut [0; 3]).await.unwrap();
        watched.write_all(b"answer").await.unwrap();
        assert!(progress.is_idle());
        far.write_all(b"a").await.unwrap();
        watched.read_exact(&mut [0; 1]).await.unwrap();
        assert!(!progress.is_idle());
    }
}
