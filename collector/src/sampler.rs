//! One tick: read the kernel, join with the pods known now, give a snapshot.
//!
//! Lives on one thread and reads synchronously: kernel files do not block on anything but the kernel.
//! When to tick is the agent's business.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::sync::watch;

use crate::api::health::{Feed, Health};
use crate::cgroup::{Cgroup, Scope};
use crate::diagnose::reason::Findings;
use crate::faults::ReadErrors;
use crate::histogram::{self, Histogram};
use crate::host::{self, devices::Devices};
use crate::join::{self, Joiner, Observed};
use crate::pods::index::Index;
use crate::pods::standalone::{Standalone, Unknown};
use crate::snapshot::{Contribute, Snapshot};
use crate::{cgroup, network};

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

/// Why there is nothing to sample.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No usable cgroup hierarchy.
    #[error(transparent)]
    Cgroup(#[from] cgroup::mounts::Error),
    /// The procfs is not where the configuration says: check the `proc` key and the DaemonSet's volume.
    #[error("cannot open {}", path.display())]
    Proc {
        /// What was opened.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
}

/// Where pods' metadata comes from.
pub enum Metadata {
    /// The API server: the latest index of the watch, and how the watch is doing.
    Watch(watch::Receiver<Arc<Index>>, Arc<Health>),
    /// The machine itself.
    Standalone(Box<Standalone>),
}

/// Owns every open kernel file; lives on one thread.
pub struct Sampler {
    cgroups: cgroup::Reader,
    host: host::Reader,
    network: network::Reader,
    devices: Devices,
    process: host::process::Reader,
    metadata: Metadata,
    joiner: Joiner,
    findings: Arc<Findings>,
    observed: Observed,
    ticks: Histogram,
    errors: ReadErrors,
}

impl Sampler {
    /// Finds the hierarchies and opens the node's files.
    ///
    /// # Errors
    /// When no usable cgroup hierarchy is mounted or there is no procfs.
    pub fn open(
        config: Config,
        metadata: Metadata,
        contributors: Vec<Box<dyn Contribute>>,
    ) -> Result<Self, Error> {
        let proc = |source| Error::Proc { path: config.proc.clone(), source };
        let cgroups = cgroup::Reader::open(config.cgroup)?;
        Ok(Self {
            observed: Observed::new(cgroups.version().as_str()),
            cgroups,
            host: host::Reader::open(&config.proc, "/".as_ref()).map_err(proc)?,
            network: network::Reader::open(&config.proc).map_err(proc)?,
            devices: Devices::new(&config.proc),
            process: host::process::Reader::default(),
            metadata,
            findings: Arc::default(),
            joiner: Joiner::new(config.join, contributors),
            ticks: Histogram::new(histogram::SECONDS),
            errors: ReadErrors::default(),
        })
    }

    /// Lets series of stuck pods say what was found out of them.
    #[must_use]
    pub fn explaining(mut self, findings: Arc<Findings>) -> Self {
        self.findings = findings;
        self
    }

    /// Reads and joins. `now` and `at` are the same moment on both clocks.
    pub fn tick(&mut self, now: Instant, at: SystemTime) -> Arc<Snapshot> {
        let began = Instant::now();
        self.cgroups.tick(&mut self.errors);
        self.host.tick(&mut self.errors);
        let (index, synced) = match &mut self.metadata {
            Metadata::Watch(index, health) => {
                (index.borrow().clone(), health.is_synced(Feed::Pods))
            }
            Metadata::Standalone(standalone) => {
                let known = standalone.index(&[]);
                (standalone.index(&unknown(&known, self.cgroups.cgroups())), false)
            }
        };
        // A pod in the host's network namespace has the node's counters, not its own.
        let wanted =
            |uid| index.pod(uid).is_some_and(|pod| !pod.host_network && !pod.phase.has_ended());
        self.network.tick(&self.cgroups, &wanted, &mut self.errors);
        self.devices.learn(self.cgroups.cgroups());
        self.observe(now);
        let snapshot = self.joiner.join(&join::Input {
            now,
            at,
            cgroups: self.cgroups.cgroups(),
            index: &index,
            synced,
            host: self.host.counters(),
            interfaces: &|uid| self.network.pod(uid).unwrap_or_default(),
            devices: self.devices.names(),
            known: &self.findings.known(),
            observed: &self.observed,
        });
        self.ticks.observe(began.elapsed().as_secs_f64());
        snapshot
    }

    fn observe(&mut self, now: Instant) {
        let usage = self.process.tick(now, self.host.counters().booted);
        self.observed = Observed {
            errors: self.errors.clone(),
            ticks: Some(Arc::new(self.ticks.clone())),
            cpu: usage.cpu,
            resident: usage.resident,
            fds: usage.fds,
            max_fds: usage.max_fds,
            started: usage.started,
            build: self.observed.build.take(),
        };
    }
}

/// The cgroups that the index does not name.
fn unknown(known: &Index, cgroups: &[Cgroup]) -> Vec<Unknown> {
    let unknown = |row: &Cgroup| match &row.scope {
        Scope::Pod(uid) => known.pod(*uid).is_none().then_some(Unknown::Pod(*uid)),
        Scope::Container { pod, id } => {
            let pod = pod.and_then(|uid| known.pod(uid));
            let is_in_pod =
                pod.is_some_and(|pod| pod.containers.iter().any(|container| container.is(id)));
            (!is_in_pod && known.container(id).is_none()).then(|| Unknown::Container(id.clone()))
        }
    };
    cgroups.iter().filter_map(unknown).collect()
}
