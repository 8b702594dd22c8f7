//! When to sample: at every interval, and when a scrape wants numbers of this moment.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use collector::snapshot::Snapshot;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Questions that may wait for an answer at once; the server serves fewer connections than that.
const QUESTIONS: usize = 64;
/// A snapshot younger than this answers a question, and ticks are never closer to each other: rates over
/// shorter times say little.
const FRESH: Duration = Duration::from_secs(1);

/// How others get at snapshots. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ticks {
    latest: watch::Receiver<Option<Arc<Snapshot>>>,
    ask: mpsc::Sender<oneshot::Sender<Arc<Snapshot>>>,
}

impl Ticks {
    /// The two ends are made by whoever runs the sampling thread; tests make their own.
    #[must_use]
    pub fn new(
        latest: watch::Receiver<Option<Arc<Snapshot>>>,
        ask: mpsc::Sender<oneshot::Sender<Arc<Snapshot>>>,
    ) -> Self {
        Self { latest, ask }
    }

    /// The latest snapshot, `None` before the first tick.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<Snapshot>> {
        self.latest.borrow().clone()
    }

    /// Each snapshot as it comes, for whoever looks at all of them. Keep none: its buffers serve a later tick.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Option<Arc<Snapshot>>> {
        self.latest.clone()
    }

    /// A snapshot of this moment: the sampling thread takes one unless it took one within the last second.
    ///
    /// `None` when the thread has ended or is too busy to take the question.
    pub async fn fresh(&self) -> Option<Arc<Snapshot>> {
        let (answer, snapshot) = oneshot::channel();
        self.ask.try_send(answer).ok()?;
        snapshot.await.ok()
    }
}

/// The sampling thread's end of [`Ticks`].
#[derive(Debug)]
pub struct Cycle {
    interval: Duration,
    latest: watch::Sender<Option<Arc<Snapshot>>>,
    questions: mpsc::Receiver<oneshot::Sender<Arc<Snapshot>>>,
}

impl Cycle {
    /// The two ends.
    #[must_use]
    pub fn new(interval: Duration) -> (Self, Ticks) {
        let (latest, seen) = watch::channel(None);
        let (ask, questions) = mpsc::channel(QUESTIONS);
        (Self { interval, latest, questions }, Ticks::new(seen, ask))
    }

    /// Ticks until `stop`, on the calling thread, which should do nothing else: reading the kernel blocks.
    ///
    /// `make` runs here too, so that what it makes need not be fit for moving between threads.
    ///
    /// # Errors
    /// When `make` fails.
    pub fn block<S>(
        self,
        stop: &CancellationToken,
        make: impl FnOnce() -> anyhow::Result<S>,
    ) -> anyhow::Result<()>
    where
        S: FnMut(Instant, SystemTime) -> Arc<Snapshot>,
    {
        let sample = make()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(self.run(stop, sample));
        Ok(())
    }

    async fn run(
        mut self,
        stop: &CancellationToken,
        mut sample: impl FnMut(Instant, SystemTime) -> Arc<Snapshot>,
    ) {
        // An absolute schedule: a slow tick does not shift the later ones, and missed ones are not made up for.
        let mut schedule = time::interval(self.interval);
        schedule.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut last: Option<(time::Instant, Arc<Snapshot>)> = None;
        loop {
            let question = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = schedule.tick() => None,
                Some(question) = self.questions.recv() => Some(question),
            };
            let now = time::Instant::now();
            let snapshot = match &last {
                Some((at, snapshot)) if now.duration_since(*at) < FRESH => snapshot.clone(),
                _ => {
                    let snapshot = sample(now.into_std(), SystemTime::now());
                    self.latest.send_replace(Some(snapshot.clone()));
                    last = Some((now, snapshot.clone()));
                    snapshot
                }
            };
            if let Some(question) = question {
                // Whoever asked may have gone; the snapshot is published all the same.
                let _ = question.send(snapshot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::Future;

    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);

    /// Runs a cycle beside `questions`; gives the seconds at which it ticked.
    async fn ticked<F: Future<Output = ()>>(questions: impl FnOnce(Ticks) -> F) -> Vec<u64> {
        let (cycle, ticks) = Cycle::new(INTERVAL);
        let start = time::Instant::now();
        let at = RefCell::new(Vec::new());
        let sample = |now: Instant, _| {
            at.borrow_mut().push(now.duration_since(start.into_std()).as_secs());
            Arc::new(Snapshot::default())
        };
        let stop = CancellationToken::new();
        tokio::join!(cycle.run(&stop, sample), async {
            questions(ticks).await;
            stop.cancel();
        });
        at.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn ticks_come_at_once_and_then_on_schedule() {
        let at = ticked(|_| time::sleep(Duration::from_secs(25))).await;
        assert_eq!(at, [0, 10, 20]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_gets_a_tick_of_its_own_and_the_schedule_stays() {
        let at = ticked(|ticks| async move {
            time::sleep(Duration::from_secs(4)).await;
            ticks.fresh().await.unwrap();
            time::sleep(Duration::from_secs(11)).await;
        })
        .await;
        assert_eq!(at, [0, 4, 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn questions_close_to_a_tick_share_its_snapshot() {
        let at = ticked(|ticks| async move {
            time::sleep(Duration::from_millis(500)).await;
            let (a, b) = tokio::join!(ticks.fresh(), ticks.fresh());
            assert!(Arc::ptr_eq(&a.unwrap(), &b.unwrap()));
        })
        .await;
        assert_eq!(at, [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn latest_is_what_was_ticked_last() {
        ticked(|ticks| async move {
            let fresh = ticks.fresh().await.unwrap();
            assert!(Arc::ptr_eq(&fresh, &ticks.latest().unwrap()));
        })
        .await;
    }

    #[tokio::test]
    async fn nobody_answers_once_the_thread_has_ended() {
        let (cycle, ticks) = Cycle::new(INTERVAL);
        drop(cycle);
        assert!(ticks.fresh().await.is_none());
    }

    #[test]
    fn what_cannot_be_made_is_the_threads_error() {
        let (cycle, _ticks) = Cycle::new(INTERVAL);
        let none = || -> anyhow::Result<fn(Instant, SystemTime) -> Arc<Snapshot>> {
            anyhow::bail!("no cgroup hierarchy")
        };
        assert_eq!(
            cycle.block(&CancellationToken::new(), none).unwrap_err().to_string(),
            "no cgroup hierarchy"
        );
    }
}
