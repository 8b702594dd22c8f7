//! The node: what its kernel counts, what it has, and what its pods were promised of it.

use std::sync::Arc;
use std::time::Duration;

use super::emit::Emit;
use super::layout::Layout;
use crate::host::{CpuModes, Filesystem, MemInfo};
use crate::labels::LabelSet;
use crate::network::Interface;
use crate::pods::model::{Amounts, Node};
use crate::schema::{Scope, Series};

impl Emit<'_, '_> {
    pub(super) fn node(&mut self, labels: &Arc<LabelSet>) -> u32 {
        let host = self.input.host;
        let entity = self.entity(Scope::Node, labels, host.booted);
        if let Some(cpu) = &host.cpu {
            self.modes(entity, cpu);
        }
        self.put_some(Series::MachineCores, entity, host.cpus.map(f64::from));
        if let Some(memory) = &host.memory {
            self.memory(entity, memory);
        }
        if let Some(load) = host.load {
            for (series, value) in
                [Series::NodeLoad1, Series::NodeLoad5, Series::NodeLoad15].into_iter().zip(load)
            {
                self.put(series, entity, value);
            }
        }
        let pressure = &host.pressure;
        self.seconds(Series::NodePressureCpu, entity, pressure.cpu.map(|stalls| stalls.some));
        self.seconds(
            Series::NodePressureMemoryWaiting,
            entity,
            pressure.memory.map(|stalls| stalls.some),
        );
        self.seconds(
            Series::NodePressureMemoryStalled,
            entity,
            pressure.memory.and_then(|stalls| stalls.full),
        );
        self.seconds(Series::NodePressureIoWaiting, entity, pressure.io.map(|stalls| stalls.some));
        self.seconds(
            Series::NodePressureIoStalled,
            entity,
            pressure.io.and_then(|stalls| stalls.full),
        );
        self.count(Series::NodeOomKills, entity, host.oom_kills);
        self.time(Series::NodeBootTime, entity, host.booted);
        for filesystem in &host.filesystems {
            self.filesystem(entity, filesystem);
        }
        for interface in &host.interfaces {
            self.device(entity, interface);
        }
        entity
    }

    fn modes(&mut self, entity: u32, cpu: &CpuModes) {
        let modes = [
            ("user", cpu.user),
            ("nice", cpu.nice),
            ("system", cpu.system),
            ("irq", cpu.irq),
            ("softirq", cpu.softirq),
            ("steal", cpu.steal),
            ("idle", cpu.idle),
            ("iowait", cpu.iowait),
        ];
        let used: Duration = modes[..6].iter().map(|(_, time)| *time).sum();
        self.seconds(Series::NodeCpuUsage, entity, Some(used));
        for (mode, time) in modes {
            let extra = self.extras.one("mode", mode);
            self.put_with(Series::NodeCpu, entity, &extra, time.as_secs_f64());
        }
    }

    fn memory(&mut self, entity: u32, memory: &MemInfo) {
        let in_use = memory.total.saturating_sub(memory.free).saturating_sub(memory.inactive_file);
        let values = [
            (Series::MachineMemory, memory.total),
            (Series::NodeWorkingSet, in_use),
            (Series::NodeSwapUsage, memory.swap_total.saturating_sub(memory.swap_free)),
            (Series::NodeMemTotal, memory.total),
            (Series::NodeMemFree, memory.free),
            (Series::NodeMemBuffers, memory.buffers),
            (Series::NodeMemCached, memory.cached),
            (Series::NodeMemShmem, memory.shmem),
            (Series::NodeMemSlabReclaimable, memory.slab_reclaimable),
            (Series::NodeMemSlabUnreclaimable, memory.slab_unreclaimable),
            (Series::NodeMemSwapTotal, memory.swap_total),
            (Series::NodeMemSwapFree, memory.swap_free),
        ];
        for (series, value) in values {
            self.put(series, entity, value as f64);
        }
        self.count(Series::NodeMemAvailable, entity, memory.available);
    }

    fn filesystem(&mut self, entity: u32, filesystem: &Filesystem) {
        let extra = self.extras.of(&[
            ("device", &filesystem.device),
            ("fstype", &filesystem.fstype),
            ("mountpoint", &filesystem.mountpoint),
        ]);
        let values = [
            (Series::NodeFsSize, filesystem.size),
            (Series::NodeFsAvail, filesystem.available),
            (Series::NodeFsFree, filesystem.free),
            (Series::NodeFsFiles, filesystem.files),
            (Series::NodeFsFilesFree, filesystem.files_free),
        ];
        for (series, value) in values {
            self.put_with(series, entity, &extra, value as f64);
        }
    }

    fn device(&mut self, entity: u32, interface: &Interface) {
        let name = self.extras.one("device", &interface.name);
        let counters = [
            (Series::NodeNetReceiveBytes, interface.receive_bytes),
            (Series::NodeNetReceivePackets, interface.receive_packets),
            (Series::NodeNetReceiveErrors, interface.receive_errors),
            (Series::NodeNetReceiveDropped, interface.receive_dropped),
            (Series::NodeNetTransmitBytes, interface.transmit_bytes),
            (Series::NodeNetTransmitPackets, interface.transmit_packets),
            (Series::NodeNetTransmitErrors, interface.transmit_errors),
            (Series::NodeNetTransmitDropped, interface.transmit_dropped),
        ];
        for (series, value) in counters {
            self.put_with(series, entity, &name, value as f64);
        }
    }

    /// The table of `kubectl describe node`: requests and limits of the pods that have not ended.
    pub(super) fn allocation(&mut self, entity: u32, layout: &Layout, node: Option<&Node>) {
        let mut requests = Amounts::default();
        let mut limits = Amounts::default();
        for slot in &layout.pods {
            if !slot.pod.phase.has_ended() {
                requests.add(&slot.request);
                limits.add(&slot.limit);
            }
        }
        if !layout.pods.is_empty() {
            self.amounts(Series::NodeRequests.into(), entity, &requests);
            self.amounts(Series::NodeLimits.into(), entity, &limits);
        }
        let Some(node) = node else { return };
        let fixed = self.fixed;
        self.amounts(Series::NodeCapacity.into(), entity, &node.capacity);
        self.amounts(Series::NodeAllocatable.into(), entity, &node.allocatable);
        for (series, pods) in [
            (Series::NodeCapacity, node.pods_capacity),
            (Series::NodeAllocatable, node.pods_allocatable),
        ] {
            if let Some(pods) = pods {
                self.put_with(series, entity, &fixed.pods, pods);
            }
        }
        self.put(Series::NodeUnschedulable, entity, f64::from(u8::from(node.unschedulable)));
        for (condition, status) in &node.conditions {
            for state in ["true", "false", "unknown"] {
                let extra = self.extras.of(&[("condition", condition), ("status", state)]);
                self.put_with(
                    Series::NodeCondition,
                    entity,
                    &extra,
                    f64::from(u8::from(status.eq_ignore_ascii_case(state))),
                );
            }
        }
        for (series, sum) in
            [(Series::NodeRequestsRatio, &requests), (Series::NodeLimitsRatio, &limits)]
        {
            for (resource, sum, of) in [
                ("cpu", sum.cpu, node.allocatable.cpu),
                ("memory", sum.memory, node.allocatable.memory),
            ] {
                if let (Some(sum), Some(of)) = (sum, of.filter(|of| *of > 0.0)) {
                    let extra = self.extras.one("resource", resource);
                    self.put_with(series, entity, &extra, sum / of);
                }
            }
        }
    }
}
