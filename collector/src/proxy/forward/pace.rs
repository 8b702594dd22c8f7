//! Ends the streams of an HTTP/2 connection whose client takes nothing of its answer.
//!
//! hyper asks a body for its next frame only when the client has made room for it, so a body cannot notice that the
//! client makes none, and the connection may look alive all the while: pings are answered, other streams move. Each
//! stopped stream would hold a connection to a pod for as long as the client likes. So every stream's task is watched
//! from outside; one that is dropped resets its stream.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::Executor;
use hyper_util::rt::TokioExecutor;
use tokio::time::{Instant, Sleep, sleep_until};

use super::idle::Idle;
use crate::proxy::guard::verdict::Verdict;

tokio::task_local! {
    /// Of the stream whose task this is.
    static PACE: Arc<Pace>;
}

/// What the connection must have taken since the last look for a stream without progress to be one whose turn has not
/// come: a slow line is shared by all streams.
const MOVED: u64 = 64 << 10;
/// And what it may take in all before this stream's turn comes: as much as every stream may have waiting.
const TURN: u64 = 4 << 20;

/// How far an answer has come.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Twice the frames that were taken of it, and one more while another is asked for: then it is not the client that
    /// is waited for.
    taken: AtomicU64,
    /// When it must have gone to the client.
    due: OnceLock<Instant>,
}

impl Pace {
    /// Of the stream whose task calls this; `None` where there are no streams.
    pub(crate) fn of_this_task() -> Option<Arc<Self>> {
        PACE.try_with(Arc::clone).ok()
    }

    /// The answer must have gone to the client by then.
    pub(crate) fn end_by(&self, due: Instant) {
        // There is one answer to a stream.
        let _ = self.due.set(due);
    }

    /// A frame is asked for.
    pub(crate) fn asked(&self) {
        let taken = self.taken.load(Relaxed);
        self.taken.store(taken | 1, Relaxed);
    }

    /// A frame was taken.
    pub(crate) fn took(&self) {
        let taken = self.taken.load(Relaxed);
        self.taken.store((taken | 1) + 1, Relaxed);
    }
}

/// Runs the tasks of a connection's streams.
#[derive(Clone)]
pub(crate) struct Streams {
    verdict: Arc<Verdict>,
    /// How long a client may take nothing.
    idle: Duration,
}

impl Streams {
    pub(crate) fn new(verdict: Arc<Verdict>, idle: Duration) -> Self {
        Self { verdict, idle }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
{
    fn execute(&self, stream: F) {
        let pace = Arc::<Pace>::default();
        let mut watch = Watch {
            pace: pace.clone(),
            verdict: self.verdict.clone(),
            idle: Idle::new(self.idle),
            seen: 0,
            at_frame: 0,
            at_look: 0,
            end: None,
        };
        let watched = async move {
            let mut stream = pin!(stream);
            std::future::poll_fn(|cx| match stream.as_mut().poll(cx) {
                Poll::Ready(_) => Poll::Ready(()),
                Poll::Pending => watch.poll_stopped(cx),
            })
            .await;
        };
        TokioExecutor::new().execute(PACE.scope(pace, watched));
    }
}

/// What is known of one stream.
struct Watch {
    pace: Arc<Pace>,
    verdict: Arc<Verdict>,
    idle: Idle,
    /// How far the answer had come.
    seen: u64,
    /// What the connection had taken then, and at the last look.
    at_frame: u64,
    at_look: u64,
    /// Rings when the answer must have gone.
    end: Option<Pin<Box<Sleep>>>,
}

impl Watch {
    /// Ready once the client has taken nothing for too long, or too little until the whole answer was due.
    fn poll_stopped(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(due) = self.pace.due.get() {
            let end = self.end.get_or_insert_with(|| Box::pin(sleep_until(*due)));
            if end.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        let taken = self.pace.taken.load(Relaxed);
        // Nothing of an answer yet, or it is the pod that is waited for.
        if taken == 0 || taken % 2 == 1 {
            self.idle.progress();
            return Poll::Pending;
        }
        if taken != self.seen {
            self.seen = taken;
            self.at_frame = self.verdict.sent();
            self.at_look = self.at_frame;
            self.idle.progress();
        }
        loop {
            ready!(self.idle.poll_expired(cx));
            let sent = self.verdict.sent();
            if sent - self.at_look < MOVED || sent - self.at_frame > TURN {
                return Poll::Ready(());
            }
            self.at_look = sent;
            self.idle.progress();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn watch() -> Watch {
        let (pace, verdict) = (Arc::default(), Arc::default());
        let idle = Idle::new(Duration::from_secs(10));
        Watch { pace, verdict, idle, seen: 0, at_frame: 0, at_look: 0, end: None }
    }

    async fn is_stopped_within(watch: &mut Watch, seconds: u64) -> bool {
        let stopped = poll_fn(|cx| watch.poll_stopped(cx));
        tokio::time::timeout(Duration::from_secs(seconds), stopped).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_the_pod_is_no_fault_of_the_client() {
        let mut watch = watch();
        assert!(!is_stopped_within(&mut watch, 60).await);
        watch.pace.asked();
        assert!(!is_stopped_within(&mut watch, 60).await);
        watch.pace.took();
        watch.pace.asked();
        assert!(!is_stopped_within(&mut watch, 60).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up_and_each_frame_puts_that_off() {
        let mut watch = watch();
        watch.pace.took();
        assert!(!is_stopped_within(&mut watch, 9).await);
        watch.pace.asked();
        watch.pace.took();
        assert!(!is_stopped_within(&mut watch, 9).await);
        assert!(is_stopped_within(&mut watch, 2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_due_is_given_up_however_little_goes_on() {
        let mut watch = watch();
        watch.pace.end_by(Instant::now() + Duration::from_secs(5));
        watch.pace.took();
        assert!(!is_stopped_within(&mut watch, 4).await);
        watch.pace.took();
        assert!(is_stopped_within(&mut watch, 2).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_waits_its_turn_on_a_slow_line_but_not_for_ever() {
        let mut watch = watch();
        watch.pace.took();
        assert!(!is_stopped_within(&mut watch, 1).await);
        let mut turns = 0;
        loop {
            watch.verdict.count_sent(1 << 20);
            if is_stopped_within(&mut watch, 10).await {
                break;
            }
            turns += 1;
        }
        assert_eq!(turns, 4);
    }
}
