//! Podmeter about itself.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::emit::Emit;
use super::extras;
use super::layout::{Census, Layout};
use crate::faults::ReadErrors;
use crate::histogram::Histogram;
use crate::labels::LabelSet;
use crate::schema::{Scope, Series};
use crate::snapshot::Snapshot;

/// What the sampler observed of the process and of its own work.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// What could not be read so far.
    pub errors: ReadErrors,
    /// How long ticks took so far.
    pub ticks: Option<Arc<Histogram>>,
    /// CPU time of the process.
    pub cpu: Option<Duration>,
    /// Resident bytes of the process.
    pub resident: Option<u64>,
    /// Files open.
    pub fds: Option<u64>,
    /// Most files that may be open.
    pub max_fds: Option<u64>,
    /// When the process started.
    pub started: Option<SystemTime>,
    /// The labels of `podmeter_build_info`.
    pub build: Option<Arc<LabelSet>>,
}

impl Observed {
    /// Names the build and what it reads, such as `v2`.
    #[must_use]
    pub fn new(cgroup: &str) -> Self {
        let build = extras::set(&[("version", env!("CARGO_PKG_VERSION")), ("cgroup", cgroup)]);
        Self { build: Some(build), ..Self::default() }
    }
}

/// Sums over all ticks.
pub(super) struct Totals {
    pub(super) census: Census,
    pub(super) held: u64,
    pub(super) unlabelled: u64,
}

impl Emit<'_, '_> {
    pub(super) fn agent(
        &mut self,
        labels: &Arc<LabelSet>,
        totals: &Totals,
        layout: &Layout,
    ) -> u32 {
        let observed = self.input.observed;
        let entity = self.entity(Scope::Agent, labels, observed.started);
        if let Some(build) = &observed.build {
            self.put_with(Series::BuildInfo, entity, build, 1.0);
        }
        self.seconds(Series::ProcessCpu, entity, observed.cpu);
        self.count(Series::ProcessResident, entity, observed.resident);
        self.count(Series::ProcessFds, entity, observed.fds);
        self.count(Series::ProcessMaxFds, entity, observed.max_fds);
        self.time(Series::ProcessStart, entity, observed.started);
        if let Some(ticks) = &observed.ticks {
            self.snapshot.add_histogram(Series::TickDuration.into(), entity, None, ticks.clone());
        }
        for (source, kind, count) in observed.errors.counts() {
            let extra = self.extras.of(&[("source", source.as_str()), ("kind", kind.as_str())]);
            self.put_with(Series::ReadErrors, entity, &extra, count as f64);
        }
        let Census { labelled, unlabelled, held, sandbox, superseded, foreign } = totals.census;
        let states = [
            ("labelled", labelled),
            ("unlabelled", unlabelled),
            ("held", held),
            ("sandbox", sandbox),
            ("superseded", superseded),
            ("foreign", foreign),
        ];
        for (state, count) in states {
            let extra = self.extras.one("state", state);
            self.put_with(Series::Cgroups, entity, &extra, f64::from(count));
        }
        self.put(Series::UnlabelledSamples, entity, totals.unlabelled as f64);
        self.put(Series::HeldSamples, entity, totals.held as f64);
        self.put(Series::Pods, entity, layout.pods.len() as f64);
        let cut = |of: fn(&crate::pods::model::Cut) -> u32| {
            layout.pods.iter().map(|slot| f64::from(of(&slot.pod.cut))).sum::<f64>()
        };
        for (reason, count) in [("count", cut(|cut| cut.count)), ("length", cut(|cut| cut.length))]
        {
            let extra = self.extras.one("reason", reason);
            self.put_with(Series::LabelsCut, entity, &extra, count);
        }
        entity
    }
}

/// How many series the snapshot has, this one included: added last.
pub(super) fn series(snapshot: &mut Snapshot, agent: u32) {
    let count = snapshot.series() + 1;
    snapshot.add(Series::SeriesCount.into(), agent, None, count as f64);
}
