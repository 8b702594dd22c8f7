//! What the join gives away to outlive the process, and takes up again.
//!
//! What was kept of a pod waits until the pod is known, since its name stands in the index only. It waits no longer than
//! for the first complete list of pods, unless the pod still has cgroups.

use std::collections::HashSet;

use super::layout::PodSlot;
use super::{Input, IoTotals, Joiner, Oom};
use crate::cgroup::{Cgroup, PodUid, Scope};
use crate::state::{Kept, KeptContainer, KeptIo, KeptPod};

impl Joiner {
    /// Goes on from what another process kept.
    ///
    /// Before the first tick everything is as it was left there. Later, when a process that ran beside this one has
    /// ended, what it counted more is taken over.
    pub fn resume(&mut self, kept: Kept) {
        self.awaited = kept;
        settle(&mut self.awaited, self.layout.pods.iter_mut().chain(&mut self.layout.former));
    }

    /// What must outlive this process; block I/O only where asked for.
    #[must_use]
    pub fn keep(&self, io: bool) -> Kept {
        let mut kept = Kept { pods: self.awaited.pods.clone(), ..Kept::default() };
        let slots = self.layout.pods.iter().chain(&self.layout.former);
        kept.pods.extend(
            slots.map(|slot| (slot.pod.uid, pod(slot))).filter(|(_, kept)| !kept.is_empty()),
        );
        if io {
            kept.io = self.layout.pods.iter().filter_map(|slot| self.pod_io(slot)).collect();
        }
        kept
    }

    fn pod_io(&self, slot: &PodSlot) -> Option<(PodUid, KeptIo)> {
        let past = self.pasts.get(slot.row?).filter(|past| !past.io.is_empty())?;
        Some((slot.named, KeptIo { inode: past.inode, totals: past.io.clone() }))
    }

    /// Gives pods that became known what was kept of them, and drops what is kept of pods that are gone.
    pub(super) fn take_up(&mut self, input: &Input<'_>) {
        // Cgroups that are there have taken theirs.
        self.awaited.io.clear();
        if self.awaited.pods.is_empty() {
            return;
        }
        settle(&mut self.awaited, self.layout.pods.iter_mut().chain(&mut self.layout.former));
        // Without an API server all that can be known is known at once.
        if input.synced || self.config.foreign {
            let present: HashSet<PodUid> =
                input.cgroups.iter().filter_map(|row| row.scope.pod()).collect();
            self.awaited.pods.retain(|uid, _| present.contains(uid));
        }
    }
}

/// What was kept of the I/O of this very cgroup.
pub(super) fn io(awaited: &mut Kept, row: &Cgroup) -> IoTotals {
    let Scope::Pod(uid) = row.scope else { return IoTotals::default() };
    let kept = awaited.io.remove(&uid).filter(|kept| kept.inode == row.inode);
    kept.map(|kept| kept.totals).unwrap_or_default()
}

fn settle<'a>(awaited: &mut Kept, slots: impl Iterator<Item = &'a mut PodSlot>) {
    for slot in slots {
        let Some(mut kept) = awaited.pods.remove(&slot.pod.uid) else { continue };
        for (container, slot) in slot.pod.containers.iter().zip(&mut slot.containers) {
            let Some(kept) = kept.remove(&*container.name) else { continue };
            slot.oom.resume(kept.oom);
            slot.life = slot.life.take().or(kept.life);
        }
    }
}

fn pod(slot: &PodSlot) -> KeptPod {
    let containers = slot.pod.containers.iter().zip(&slot.containers);
    let kept = containers.map(|(container, slot)| {
        let oom = if slot.oom.is_new() { Oom::default() } else { slot.oom.clone() };
        let kept = KeptContainer { oom, life: slot.life.clone() };
        (container.name.to_string(), kept)
    });
    kept.filter(|(_, kept)| *kept != KeptContainer::default()).collect()
}
