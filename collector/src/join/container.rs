//! A known container: its counters, its state, and how near it is to its limits.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Past;
use super::emit::{Emit, unix};
use super::layout::ContainerSlot;
use crate::cgroup::{Cgroup, Scope as CgroupScope};
use crate::pods::model::{Container, Role, State, Status};
use crate::schema::{Id, Kernel, Scope, Series};
use crate::state::Life;

/// A cgroup's birth and the kubelet's word that are further apart cannot both be right.
const DOUBT: Duration = Duration::from_secs(5);

/// The names of a container's state: kube-state-metrics has init containers under names of their own.
struct StateNames {
    requests: Series,
    limits: Series,
    restarts: Series,
    ready: Series,
    running: Series,
    waiting: Series,
    waiting_reason: Series,
    terminated: Series,
    terminated_reason: Series,
    last_reason: Series,
}

const REGULAR: StateNames = StateNames {
    requests: Series::ContainerRequests,
    limits: Series::ContainerLimits,
    restarts: Series::ContainerRestarts,
    ready: Series::ContainerReady,
    running: Series::ContainerRunning,
    waiting: Series::ContainerWaiting,
    waiting_reason: Series::ContainerWaitingReason,
    terminated: Series::ContainerTerminated,
    terminated_reason: Series::ContainerTerminatedReason,
    last_reason: Series::ContainerLastTerminatedReason,
};

const INIT: StateNames = StateNames {
    requests: Series::InitRequests,
    limits: Series::InitLimits,
    restarts: Series::InitRestarts,
    ready: Series::InitReady,
    running: Series::InitRunning,
    waiting: Series::InitWaiting,
    waiting_reason: Series::InitWaitingReason,
    terminated: Series::InitTerminated,
    terminated_reason: Series::InitTerminatedReason,
    last_reason: Series::InitLastTerminatedReason,
};

/// When the kubelet says that a status' container was started; `None` when it is not running.
fn since(status: &Status) -> Option<SystemTime> {
    match status.state {
        State::Running(since) => since,
        _ => None,
    }
}

impl Past {
    /// When the container of this cgroup started. Told once: it is what tells one life from the next, so
    /// it must not change within one, nor when Podmeter starts anew: `life` is kept.
    ///
    /// The kubelet's word comes later than the cgroup and in whole seconds, so it corrects only a birth
    /// that cannot be right. It may also still be about the container before this one.
    fn start(
        &mut self,
        row: &Cgroup,
        status: Option<&Status>,
        life: &mut Option<Life>,
    ) -> SystemTime {
        let CgroupScope::Container { id, .. } = &row.scope else { return row.created };
        let known = life.as_ref().filter(|life| life.id == *id);
        let told = status.filter(|status| status.id.as_ref() == Some(id)).and_then(since);
        let start = known.map_or_else(|| told.unwrap_or(row.created), |life| life.start);
        let start = self.start.get_or_insert(start);
        if let Some(told) = told
            && told.max(*start).duration_since(told.min(*start)).is_ok_and(|apart| apart > DOUBT)
        {
            *start = told;
        }
        if known.is_none_or(|life| life.start != *start) {
            *life = Some(Life { id: id.clone(), start: *start });
        }
        *start
    }
}

impl Emit<'_, '_> {
    pub(super) fn container(
        &mut self,
        slot: &mut ContainerSlot,
        container: &Container,
        pasts: &mut [Past],
    ) {
        let names = if container.role == Role::Init { &INIT } else { &REGULAR };
        let row = slot.row.map(|row| &self.input.cgroups[row]);
        let start = match (row, slot.row) {
            (Some(row), Some(at)) => {
                Some(pasts[at].start(row, container.status.as_ref(), &mut slot.life))
            }
            _ => container.status.as_ref().and_then(since),
        };
        let entity = self.entity(Scope::Container, &slot.labels, start);
        self.amounts(names.requests.into(), entity, &container.resources.requests);
        self.amounts(names.limits.into(), entity, &container.resources.limits);
        if let Some(status) = &container.status {
            slot.oom.status(status);
            self.state(names, entity, status);
        }
        if let (Some(row), Some(at)) = (row, slot.row) {
            self.kernel(Id::container, entity, &row.counters, &mut pasts[at]);
            if let (CgroupScope::Container { id, .. }, Some(kills)) =
                (&row.scope, row.counters.memory.oom_kills)
            {
                let is_alive = row.counters.pids.current != Some(0);
                slot.oom.kernel(id, kills, is_alive);
            }
            self.put_some(Id::container(Kernel::StartTime), entity, start.map(unix));
            self.proximity(entity, row, container, &mut pasts[at]);
        }
        // From the first sight on, at 0: a series that appears with its first kill has no increase to alert on.
        if row.is_some() || container.status.is_some() {
            self.put(Id::container(Kernel::OomEvents), entity, slot.oom.total() as f64);
        }
    }

    fn state(&mut self, names: &StateNames, entity: u32, status: &Status) {
        let (running, waiting, terminated) = match &status.state {
            State::Running(_) => (1.0, 0.0, 0.0),
            State::Waiting(_) => (0.0, 1.0, 0.0),
            State::Terminated(_) => (0.0, 0.0, 1.0),
            State::Unknown => (0.0, 0.0, 0.0),
        };
        self.put(names.restarts, entity, f64::from(status.restarts));
        self.put(names.ready, entity, f64::from(u8::from(status.ready)));
        self.put(names.running, entity, running);
        self.put(names.waiting, entity, waiting);
        self.put(names.terminated, entity, terminated);
        match &status.state {
            State::Waiting(reason) => self.reason(names.waiting_reason, entity, reason.as_ref()),
            State::Terminated(end) => {
                self.reason(names.terminated_reason, entity, end.reason.as_ref());
            }
            State::Running(_) | State::Unknown => {}
        }
        if let Some(last) = &status.last {
            self.reason(names.last_reason, entity, last.reason.as_ref());
            self.put(Series::ContainerLastTerminatedExitcode, entity, f64::from(last.exit_code));
            self.time(Series::ContainerLastTerminatedTimestamp, entity, last.finished);
        }
    }

    pub(super) fn reason(&mut self, series: Series, entity: u32, reason: Option<&Arc<str>>) {
        if let Some(reason) = reason {
            let extra = self.extras.one("reason", reason);
            self.put_with(series, entity, &extra, 1.0);
        }
    }

    /// How near: what the kernel enforces comes before what the spec says.
    fn proximity(&mut self, entity: u32, row: &Cgroup, container: &Container, past: &mut Past) {
        let Cgroup { counters, .. } = row;
        let fixed = self.fixed;
        let cores = self.cores(row, past);
        self.remember_cores(entity, cores);
        if let Some(cores) = cores {
            let limit =
                counters.cpu.quota.map_or(container.resources.limits.cpu, |quota| quota.cores());
            self.ratio(Series::CpuLimitRatio, entity, cores, limit);
            self.ratio(Series::CpuRequestRatio, entity, cores, container.resources.requests.cpu);
        }
        let memory = &counters.memory;
        let limit = match memory.limit {
            Some(limit) => limit.at().map(|limit| limit as f64),
            None => container.resources.limits.memory,
        };
        for (basis, value) in [
            (&fixed.working_set, memory.working_set()),
            (&fixed.unreclaimable, memory.unreclaimable()),
        ] {
            let (Some(value), Some(limit)) = (value, limit.filter(|limit| *limit > 0.0)) else {
                continue;
            };
            self.put_with(Series::MemoryLimitRatio, entity, basis, value as f64 / limit);
        }
        if let (Some(value), Some(request)) = (
            memory.working_set(),
            container.resources.requests.memory.filter(|request| *request > 0.0),
        ) {
            self.put_with(
                Series::MemoryRequestRatio,
                entity,
                &fixed.working_set,
                value as f64 / request,
            );
        }
        if let (Some(value), Some(limit)) = (memory.unreclaimable(), limit) {
            past.trend.push(self.input.now, value as f64, self.interval);
            self.put_some(Series::MemorySecondsToLimit, entity, past.trend.seconds_to(limit));
        }
    }

    fn ratio(&mut self, series: Series, entity: u32, value: f64, of: Option<f64>) {
        if let Some(of) = of.filter(|of| *of > 0.0) {
            self.put(series, entity, value / of);
        }
    }
}
