//! Writes one cgroup's counters into the snapshot.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Input;
use super::extras::{Extras, Fixed};
use super::layout::Stray;
use super::{Past, SHORTEST_RATE};
use crate::cgroup::{Cgroup, Counters, Limit, Stalls};
use crate::labels::LabelSet;
use crate::schema::{Id, Kernel, Scope, Series};
use crate::snapshot::{Entity, Snapshot};

/// The snapshot being written, with what every part of it needs.
pub(super) struct Emit<'a, 'i> {
    pub(super) snapshot: &'a mut Snapshot,
    pub(super) input: &'a Input<'i>,
    pub(super) fixed: &'a Fixed,
    pub(super) extras: &'a mut Extras,
    pub(super) interval: Duration,
}

/// Which name a kernel counter has: a container's or a pod's.
pub(super) type Names = fn(Kernel) -> Id;

impl Emit<'_, '_> {
    pub(super) fn entity(
        &mut self,
        scope: Scope,
        labels: &Arc<LabelSet>,
        start: Option<SystemTime>,
    ) -> u32 {
        self.snapshot.add_entity(Entity { scope, labels: labels.clone(), start, cpu_cores: None })
    }

    pub(super) fn put(&mut self, id: impl Into<Id>, entity: u32, value: f64) {
        self.snapshot.add(id.into(), entity, None, value);
    }

    pub(super) fn put_some(&mut self, id: impl Into<Id>, entity: u32, value: Option<f64>) {
        if let Some(value) = value {
            self.put(id, entity, value);
        }
    }

    pub(super) fn put_with(
        &mut self,
        id: impl Into<Id>,
        entity: u32,
        extra: &Arc<LabelSet>,
        value: f64,
    ) {
        self.snapshot.add(id.into(), entity, Some(extra.clone()), value);
    }

    /// One for each of `all`: 1 for the one that holds, 0 for the others, as kube-state-metrics does.
    pub(super) fn one_hot<T: PartialEq>(
        &mut self,
        series: Series,
        entity: u32,
        all: &[(T, Arc<LabelSet>)],
        now: &T,
    ) {
        for (value, extra) in all {
            self.put_with(series, entity, extra, f64::from(u8::from(value == now)));
        }
    }

    /// A cgroup without names: its kernel counters only.
    pub(super) fn stray(&mut self, stray: &Stray, pasts: &mut [Past]) {
        let row = &self.input.cgroups[stray.row];
        let (scope, names): (_, Names) =
            if stray.is_pod { (Scope::Pod, Id::pod) } else { (Scope::Container, Id::container) };
        let entity = self.entity(scope, &stray.labels, Some(row.created));
        self.kernel(names, entity, &row.counters, &mut pasts[stray.row]);
        self.put_some(
            names(Kernel::OomEvents),
            entity,
            row.counters.memory.oom_kills.map(|kills| kills as f64),
        );
        self.put(names(Kernel::StartTime), entity, unix(row.created));
        let cores = self.cores(row, &mut pasts[stray.row]);
        self.remember_cores(entity, cores);
    }

    /// CPU in use since the tick before, in cores.
    pub(super) fn cores(&self, row: &Cgroup, past: &mut Past) -> Option<f64> {
        let usage = row.counters.cpu.usage?;
        let now = self.input.now;
        let Some((then, before)) = past.cpu else {
            past.cpu = Some((now, usage));
            return None;
        };
        let elapsed = now.saturating_duration_since(then);
        if elapsed >= SHORTEST_RATE {
            // A counter that went down belongs to something else than before: no rate rather than a wrong one.
            past.cores =
                usage.checked_sub(before).map(|used| used.as_secs_f64() / elapsed.as_secs_f64());
            past.cpu = Some((now, usage));
        }
        past.cores
    }

    pub(super) fn remember_cores(&mut self, entity: u32, cores: Option<f64>) {
        if let Some(entity) = self.snapshot.entity_mut(entity) {
            entity.cpu_cores = cores;
        }
    }

    /// All counters but OOM kills and the start time, which need more than one reading.
    pub(super) fn kernel(
        &mut self,
        names: Names,
        entity: u32,
        counters: &Counters,
        past: &mut Past,
    ) {
        self.kernel_cpu(names, entity, counters);
        self.kernel_memory(names, entity, counters);
        let pressure = &counters.pressure;
        self.stalls(
            [Kernel::PressureCpuWaiting, Kernel::PressureCpuStalled].map(names),
            entity,
            pressure.cpu,
        );
        self.stalls(
            [Kernel::PressureMemoryWaiting, Kernel::PressureMemoryStalled].map(names),
            entity,
            pressure.memory,
        );
        self.stalls(
            [Kernel::PressureIoWaiting, Kernel::PressureIoStalled].map(names),
            entity,
            pressure.io,
        );
        for io in &counters.io {
            let Some(name) = self.input.devices.get(&io.device) else { continue };
            let device = self.extras.one("device", name);
            let families =
                [Kernel::FsReadsBytes, Kernel::FsWritesBytes, Kernel::FsReads, Kernel::FsWrites];
            for (kernel, total) in families.into_iter().zip(past.io.of(io)) {
                self.put_with(names(kernel), entity, &device, total as f64);
            }
        }
        self.count(names(Kernel::Threads), entity, counters.pids.current);
        self.count(
            names(Kernel::ThreadsMax),
            entity,
            counters.pids.limit.and_then(|limit| limit.at()),
        );
    }

    fn kernel_cpu(&mut self, names: Names, entity: u32, counters: &Counters) {
        let cpu = &counters.cpu;
        self.seconds(names(Kernel::CpuUsage), entity, cpu.usage);
        self.seconds(names(Kernel::CpuUser), entity, cpu.user);
        self.seconds(names(Kernel::CpuSystem), entity, cpu.system);
        // The kernel has these files without a limit too, where they are 0 for ever.
        if cpu.quota.is_none_or(|quota| quota.quota != Limit::Max) {
            self.count(names(Kernel::CfsPeriods), entity, cpu.periods);
            self.count(names(Kernel::CfsThrottledPeriods), entity, cpu.throttled_periods);
            self.seconds(names(Kernel::CfsThrottled), entity, cpu.throttled);
        }
        self.count(names(Kernel::CpuShares), entity, cpu.shares);
        self.count(names(Kernel::CpuWeight), entity, cpu.weight);
        if let Some(quota) = cpu.quota {
            self.put_some(
                names(Kernel::CpuQuota),
                entity,
                quota.quota.at().map(|quota| quota.as_micros() as f64),
            );
            self.put(names(Kernel::CpuPeriod), entity, quota.period.as_micros() as f64);
        }
    }

    fn kernel_memory(&mut self, names: Names, entity: u32, counters: &Counters) {
        let memory = &counters.memory;
        let gauges = [
            (Kernel::MemoryUsage, memory.usage),
            (Kernel::MemoryWorkingSet, memory.working_set()),
            (Kernel::MemoryUnreclaimable, memory.unreclaimable()),
            (Kernel::MemoryRss, memory.anon),
            (Kernel::MemoryCache, memory.file),
            (Kernel::MemorySwap, memory.swap),
            (Kernel::MemoryShmem, memory.shmem),
            (Kernel::MemoryMappedFile, memory.mapped_file),
            (Kernel::MemoryActiveFile, memory.active_file),
            (Kernel::MemoryInactiveFile, memory.inactive_file),
            (Kernel::MemoryKernel, memory.kernel),
            (Kernel::MemorySlabReclaimable, memory.slab_reclaimable),
            (Kernel::MemorySlabUnreclaimable, memory.slab_unreclaimable),
            (Kernel::MemoryPeak, memory.peak),
            (Kernel::MemoryLimit, memory.limit.map(|limit| limit.at().unwrap_or(0))),
            (Kernel::MemoryHigh, memory.high.and_then(|limit| limit.at())),
            (Kernel::MemoryFailcnt, memory.limit_hits),
            (Kernel::MemoryEventsHigh, memory.high_hits),
        ];
        for (kernel, value) in gauges {
            self.count(names(kernel), entity, value);
        }
        // Only v2 has memory.events, and only v2 has a high limit file.
        if memory.high_hits.is_some() {
            self.count(names(Kernel::MemoryEventsMax), entity, memory.limit_hits);
        }
        let fixed = self.fixed;
        for (extra, faults) in
            [(&fixed.pgfault, memory.page_faults), (&fixed.pgmajfault, memory.major_page_faults)]
        {
            if let Some(faults) = faults {
                self.put_with(names(Kernel::MemoryFailures), entity, extra, faults as f64);
            }
        }
    }

    fn stalls(&mut self, [waiting, stalled]: [Id; 2], entity: u32, stalls: Option<Stalls>) {
        let Some(stalls) = stalls else { return };
        self.put(waiting, entity, stalls.some.as_secs_f64());
        self.put_some(stalled, entity, stalls.full.map(|full| full.as_secs_f64()));
    }

    pub(super) fn count(&mut self, id: impl Into<Id>, entity: u32, value: Option<u64>) {
        self.put_some(id, entity, value.map(|value| value as f64));
    }

    pub(super) fn seconds(&mut self, id: impl Into<Id>, entity: u32, value: Option<Duration>) {
        self.put_some(id, entity, value.map(|value| value.as_secs_f64()));
    }

    pub(super) fn time(&mut self, id: impl Into<Id>, entity: u32, value: Option<SystemTime>) {
        self.put_some(id, entity, value.map(unix));
    }
}

/// Unix time in seconds; a time before 1970 is 0.
pub(super) fn unix(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
