//! How following the file goes, as series.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use collector::labels::{Label, LabelSet};
use collector::schema::Series;
use collector::snapshot::{Contribute, Snapshot};

/// Counts since the start. A clone counts into the same.
#[derive(Clone, Debug)]
pub struct Stats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ok: (Arc<LabelSet>, AtomicU64),
    failed: (Arc<LabelSet>, AtomicU64),
    is_valid: AtomicBool,
}

/// The settings that the agent starts with are valid, or it would not start.
impl Default for Stats {
    fn default() -> Self {
        let count = |result: &str| {
            (Arc::new(LabelSet::new(vec![Label::own("result", result)])), AtomicU64::new(0))
        };
        let is_valid = AtomicBool::new(true);
        Self(Arc::new(Inner { ok: count("ok"), failed: count("failed"), is_valid }))
    }
}

impl Stats {
    pub(super) fn succeeded(&self) {
        self.0.ok.1.fetch_add(1, Ordering::Relaxed);
        self.0.is_valid.store(true, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.0.failed.1.fetch_add(1, Ordering::Relaxed);
        self.0.is_valid.store(false, Ordering::Relaxed);
    }
}

impl Contribute for Stats {
    fn contribute(&mut self, snapshot: &mut Snapshot, agent: u32) {
        for (labels, count) in [&self.0.ok, &self.0.failed] {
            let count = count.load(Ordering::Relaxed) as f64;
            snapshot.add(Series::ConfigReloads.into(), agent, Some(labels.clone()), count);
        }
        let is_valid = f64::from(u8::from(self.0.is_valid.load(Ordering::Relaxed)));
        snapshot.add(Series::ConfigValid.into(), agent, None, is_valid);
    }
}
