//! How discovery is doing, for `/readyz`, the series and the page.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::api::health::{Feed, Health};
use crate::proxy::route::Fault;

/// How long after the Ingresses were listed their Services and Secrets may keep the proxy from being ready:
/// one that cannot be read must not take the others from the node for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// Written by discovery, read by anyone at any time.
#[derive(Debug)]
pub struct Status {
    health: Arc<Health>,
    faults: ArcSwap<Vec<Fault>>,
    listed: OnceLock<Instant>,
    complete: AtomicBool,
}

impl Status {
    pub(super) fn new(health: Arc<Health>) -> Self {
        Self {
            health,
            faults: ArcSwap::default(),
            listed: OnceLock::new(),
            complete: AtomicBool::new(false),
        }
    }

    /// Whether the routes are known, and the pods and certificates of each that can be known. Never false
    /// again after that.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let is_ready = self.complete.load(Relaxed)
            || self.listed.get().is_some_and(|listed| listed.elapsed() >= PATIENCE);
        if is_ready {
            self.complete.store(true, Relaxed);
        }
        is_ready
    }

    /// What cannot be used at present.
    #[must_use]
    pub fn faults(&self) -> Arc<Vec<Fault>> {
        self.faults.load_full()
    }

    /// What is wrong between us and the API server now and how to mend it; `None` when nothing is.
    #[must_use]
    pub fn trouble(&self) -> Option<Arc<String>> {
        Feed::PROXY.into_iter().find_map(|feed| self.health.trouble(feed))
    }

    pub(super) fn listed(&self) {
        self.listed.get_or_init(Instant::now);
    }

    pub(super) fn complete(&self) {
        self.complete.store(true, Relaxed);
    }

    pub(super) fn set_faults(&self, faults: Vec<Fault>) {
        self.faults.store(Arc::new(faults));
    }
}
