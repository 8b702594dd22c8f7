//! When to sample: at every interval, and when a scrape wants numbers of this moment.

use std::sync::Arc;

use collector::snapshot::Snapshot;
use tokio::sync::{mpsc, oneshot, watch};

/// How others get at snapshots. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ticks {
    latest: watch::Receiver<Option<Arc<Snapshot>>>,
    ask: mpsc::Sender<oneshot::Sender<Arc<Snapshot>>>,
}

impl Ticks {
    /// The two ends are made by whoever runs the sampling thread; tests make their own.
    #[must_use]
    pub fn new(latest: watch::Receiver<Option<Arc<Snapshot>>>, ask: mpsc::Sender<oneshot::Sender<Arc<Snapshot>>>) -> Self {
        Self { latest, ask }
    }

    /// The latest snapshot, `None` before the first tick.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<Snapshot>> {
        self.latest.borrow().clone()
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
