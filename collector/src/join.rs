//! Puts names on numbers: one tick of counters and the pods known now give one snapshot.
//!
//! No I/O and no clock: the same inputs give the same snapshot. [`layout`] works out whose cgroup is
//! whose, only when something changed; [`emit`] writes the numbers, every tick, without allocating.
//! What must outlive a tick (the last CPU time, the memory trend, the OOM kills) is kept here.

mod agent;
mod amounts;
mod container;
mod emit;
mod extras;
mod io;
mod layout;
mod node;
mod oom;
mod pod;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use globset::GlobSet;

pub use self::agent::Observed;
use self::emit::Emit;
use self::extras::{Extras, Fixed};
use self::io::IoTotals;
use self::layout::{Layout, Plan};
use crate::cgroup::{Cgroup, CgroupKey, PodUid};
use crate::diagnose::reason::Known;
use crate::host;
use crate::labels::{Label, LabelSet};
use crate::network::Interface;
use crate::pods::index::Index;
use crate::schema;
use crate::snapshot::{Contribute, Snapshot};
use crate::trend::Trend;

/// Ticks that a new cgroup may wait for its pod's metadata.
const HOLD: u64 = 2;
/// CPU rates over less than this are noise of the clock, not usage.
const SHORTEST_RATE: Duration = Duration::from_millis(500);

/// How series are named and which are left out.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's name, on every series.
    pub node: Arc<str>,
    /// Families left out, by globs on their names.
    pub exclude: GlobSet,
    /// Whether containers that Kubernetes does not run have series too (`--standalone`).
    pub foreign: bool,
    /// The usual time between ticks: how far apart the points of a memory trend are.
    pub interval: Duration,
}

/// What one tick knows.
pub struct Input<'a> {
    /// When the counters were read.
    pub now: Instant,
    /// The same moment on the wall clock.
    pub at: SystemTime,
    /// Pods' and containers' cgroups.
    pub cgroups: &'a [Cgroup],
    /// The pods.
    pub index: &'a Arc<Index>,
    /// Whether a first complete list of pods was had; before that nothing waits for metadata.
    pub synced: bool,
    /// The node's own counters.
    pub host: &'a host::Counters,
    /// Interfaces of a pod's network namespace, by the uid its cgroup carries.
    pub interfaces: &'a dyn Fn(PodUid) -> &'a [Interface],
    /// Names of block devices.
    pub devices: &'a HashMap<(u32, u32), Arc<str>>,
    /// What was found out of pods that are stuck.
    pub known: &'a Known,
    /// What the sampler observed of itself.
    pub observed: &'a Observed,
}

/// What is kept of a cgroup between ticks.
#[derive(Clone, Debug)]
struct Past {
    key: CgroupKey,
    born: u64,
    cpu: Option<(Instant, Duration)>,
    /// Cores in use as of the last rate.
    cores: Option<f64>,
    /// When its container started, once that was told.
    start: Option<SystemTime>,
    io: IoTotals,
    trend: Trend,
}

/// Joins, tick after tick.
pub struct Joiner {
    config: Config,
    cycle: u64,
    index: Arc<Index>,
    pasts: Vec<Past>,
    layout: Layout,
    fixed: Fixed,
    extras: Extras,
    node: Arc<LabelSet>,
    excluded: Arc<[bool]>,
    /// The last two snapshots: the older one's buffers serve the next tick once nobody reads it.
    recent: [Option<Arc<Snapshot>>; 2],
    contributors: Vec<Box<dyn Contribute>>,
    unlabelled: u64,
    held: u64,
}

impl Joiner {
    /// A joiner that has seen nothing yet.
    #[must_use]
    pub fn new(config: Config, contributors: Vec<Box<dyn Contribute>>) -> Self {
        let excluded =
            schema::Id::all().map(|id| config.exclude.is_match(id.metric().name)).collect();
        Self {
            node: Arc::new(LabelSet::new(vec![Label::own("node", config.node.clone())])),
            config,
            cycle: 0,
            index: Arc::default(),
            pasts: Vec::new(),
            layout: Layout::default(),
            fixed: Fixed::default(),
            extras: Extras::default(),
            excluded,
            recent: [None, None],
            contributors,
            unlabelled: 0,
            held: 0,
        }
    }

    /// One tick.
    pub fn join(&mut self, input: &Input<'_>) -> Arc<Snapshot> {
        self.cycle += 1;
        self.arrange(input);
        let mut shared =
            self.recent[1].take().unwrap_or_else(|| Arc::new(Snapshot::excluding(&self.excluded)));
        if Arc::get_mut(&mut shared).is_none() {
            // Somebody still reads the old one.
            shared = Arc::new(Snapshot::excluding(&self.excluded));
        }
        if let Some(snapshot) = Arc::get_mut(&mut shared) {
            snapshot.reset(input.at);
            let mut emit = Emit {
                snapshot,
                input,
                fixed: &self.fixed,
                extras: &mut self.extras,
                interval: self.config.interval,
            };
            let node = emit.node(&self.node);
            emit.allocation(node, &self.layout, input.index.node().map(|node| &**node));
            for slot in &mut self.layout.pods {
                emit.pod(slot, &mut self.pasts);
            }
            for stray in &self.layout.strays {
                emit.stray(stray, &mut self.pasts);
            }
            self.held += u64::from(self.layout.census.held);
            self.unlabelled += u64::from(self.layout.census.unlabelled);
            let totals = agent::Totals {
                census: self.layout.census,
                held: self.held,
                unlabelled: self.unlabelled,
            };
            let agent = emit.agent(&self.node, &totals, &self.layout);
            for contributor in &mut self.contributors {
                contributor.contribute(snapshot, agent);
            }
            agent::series(snapshot, agent);
        }
        self.recent = [Some(shared.clone()), self.recent[0].take()];
        shared
    }

    /// Works out the layout again when cgroups or pods changed since the last tick, or someone waits.
    fn arrange(&mut self, input: &Input<'_>) {
        let same_rows = self.pasts.len() == input.cgroups.len()
            && self.pasts.iter().zip(input.cgroups).all(|(past, row)| past.key == row.key);
        if !same_rows {
            let mut old: HashMap<CgroupKey, Past> =
                self.pasts.drain(..).map(|past| (past.key, past)).collect();
            let born = |key| Past {
                key,
                born: self.cycle,
                cpu: None,
                cores: None,
                start: None,
                io: IoTotals::default(),
                trend: Trend::default(),
            };
            self.pasts = input
                .cgroups
                .iter()
                .map(|row| old.remove(&row.key).unwrap_or_else(|| born(row.key)))
                .collect();
        }
        if same_rows
            && !self.layout.pending
            && Arc::ptr_eq(&self.index, input.index)
            && self.cycle > 1
        {
            return;
        }
        let waited: Vec<bool> =
            self.pasts.iter().map(|past| !input.synced || self.cycle - past.born >= HOLD).collect();
        let plan =
            Plan { config: &self.config, index: input.index, rows: input.cgroups, waited: &waited };
        self.layout = plan.layout(std::mem::take(&mut self.layout));
        self.index = input.index.clone();
    }
}
