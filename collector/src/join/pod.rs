//! A known pod: its state, its own cgroup, its network, then its containers.

use super::Past;
use super::emit::Emit;
use super::layout::PodSlot;
use crate::diagnose::Diagnosis;
use crate::network::Interface;
use crate::pods::model::Pod;
use crate::schema::{Id, Kernel, Scope, Series};

impl Emit<'_, '_> {
    pub(super) fn pod(&mut self, slot: &mut PodSlot, pasts: &mut [Past]) {
        let row = slot.row.map(|row| &self.input.cgroups[row]);
        // A pod outlives a reboot of its node, its cgroup and all that was counted do not.
        let booted = self.input.host.booted;
        let told = slot.pod.started;
        let since_boot = told.filter(|told| booted.is_none_or(|booted| *told >= booted));
        let start = since_boot.or(row.map(|row| row.created)).or(told);
        let entity = self.entity(Scope::Pod, &slot.labels, start);
        self.put_with(Series::PodInfo, entity, &slot.info, 1.0);
        self.status(entity, &slot.pod);
        self.stuck(entity, slot);
        // What has ended reserves nothing; kube-scheduler leaves these out as well.
        if !slot.pod.phase.has_ended() {
            let fixed = self.fixed;
            self.amounts_in(&fixed.scheduler, Series::PodRequest.into(), entity, &slot.request);
            self.amounts_in(&fixed.scheduler, Series::PodLimit.into(), entity, &slot.limit);
        }
        if let (Some(row), Some(at)) = (row, slot.row) {
            self.kernel(Id::pod, entity, &row.counters, &mut pasts[at]);
            self.time(Id::pod(Kernel::StartTime), entity, Some(row.created));
            let cores = self.cores(row, &mut pasts[at]);
            self.remember_cores(entity, cores);
        }
        // In the host's network namespace everything would be counted once for each such pod.
        if !slot.pod.host_network {
            for interface in (self.input.interfaces)(slot.named) {
                self.interface(entity, interface);
            }
        }
        for (container, slot) in slot.pod.containers.iter().zip(&mut slot.containers) {
            self.container(slot, container, pasts);
        }
        if let Some(kills) = row.and_then(|row| row.counters.memory.oom_kills) {
            // v1 counts a kill in the victim's cgroup alone, v2 in all above it, too.
            let of_containers = slot.containers.iter().map(|slot| slot.oom.total()).sum();
            self.put(Id::pod(Kernel::OomEvents), entity, kills.max(of_containers) as f64);
        }
    }

    fn status(&mut self, entity: u32, pod: &Pod) {
        let fixed = self.fixed;
        self.one_hot(Series::PodPhase, entity, &fixed.phases, &pod.phase);
        self.one_hot(Series::PodReady, entity, &fixed.ready, &pod.ready);
        if let Some(qos) = &pod.qos {
            self.one_hot(Series::PodQos, entity, &fixed.classes, qos);
        }
        self.reason(Series::PodReason, entity, pod.reason.as_ref());
        self.time(Series::PodCreated, entity, pod.created);
        self.time(Series::PodStartTime, entity, pod.started);
        self.time(Series::PodScheduledTime, entity, pod.scheduled);
        self.time(Series::PodReadyTime, entity, pod.ready_since);
        self.time(Series::PodDeletion, entity, pod.deleted);
        if let Some(took) = pod.startup.took() {
            let revision = pod.revision.as_deref().unwrap_or_default();
            let extra = self.extras.one("revision", revision);
            self.put_with(Series::PodStartup, entity, &extra, took.as_secs_f64());
        }
    }

    /// What asking has told goes before what the status says, unless that says all.
    fn stuck(&mut self, entity: u32, slot: &PodSlot) {
        let Some(stuck) = &slot.stuck else { return };
        let Some(lasts) = stuck.lasts(self.input.at) else { return };
        let known = self.input.known.get(&slot.pod.uid).filter(|_| !stuck.is_clear);
        let Diagnosis { reason, detail } = known.unwrap_or(&stuck.diagnosis);
        let extra = self.extras.of(&[("reason", reason.as_str()), ("detail", detail)]);
        self.put_with(Series::PodStuck, entity, &extra, lasts.as_secs_f64());
    }

    fn interface(&mut self, entity: u32, interface: &Interface) {
        let name = self.extras.one("interface", &interface.name);
        let counters = [
            (Series::NetReceiveBytes, interface.receive_bytes),
            (Series::NetReceivePackets, interface.receive_packets),
            (Series::NetReceiveErrors, interface.receive_errors),
            (Series::NetReceiveDropped, interface.receive_dropped),
            (Series::NetTransmitBytes, interface.transmit_bytes),
            (Series::NetTransmitPackets, interface.transmit_packets),
            (Series::NetTransmitErrors, interface.transmit_errors),
            (Series::NetTransmitDropped, interface.transmit_dropped),
        ];
        for (series, value) in counters {
            self.put_with(series, entity, &name, value as f64);
        }
    }
}
