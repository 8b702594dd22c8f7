//! What outlives the process: the little that neither the kernel nor the API server tells again.
//!
//! [`Kept`] is what is kept, [`format`](mod@format) its text (pure), [`folder`] the file and its lock, [`keeper`] who
//! reads at the start and writes while the sampling thread goes on, [`fault`] what can go wrong. What is counted
//! is the join's business; `ARCHITECTURE.md` says what is kept, and why the rest is not.

pub mod fault;
pub mod folder;
pub mod format;
pub mod keeper;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::cgroup::{ContainerId, PodUid};
use crate::join::{IoTotals, Oom};

/// What is kept, of the pods that are on the node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Kept {
    pub(crate) pods: BTreeMap<PodUid, KeptPod>,
    /// Block I/O by the uid that the pod's cgroup carries.
    pub(crate) io: BTreeMap<PodUid, KeptIo>,
}

/// Of a pod: its containers by name, those that there is something to say of.
pub(crate) type KeptPod = BTreeMap<String, KeptContainer>;

/// Of a container name, across its incarnations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeptContainer {
    /// OOM kills of all incarnations.
    #[serde(skip_serializing_if = "Oom::is_new")]
    pub(crate) oom: Oom,
    /// When the incarnation that was there last started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) life: Option<Life>,
}

/// One incarnation of a container and the start that was told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Life {
    pub(crate) id: ContainerId,
    #[serde(with = "format::nanos")]
    pub(crate) start: SystemTime,
}

/// Block I/O of a pod's cgroup. Of this cgroup only: its inode tells it from one that is made anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptIo {
    pub(crate) inode: u64,
    pub(crate) totals: IoTotals,
}

impl Kept {
    /// Whether what would be lost with `self` is the same as with `saved`.
    ///
    /// What of a device's counter is merely read anew every tick does not count: it would be a write a tick.
    pub(crate) fn is_same(&self, saved: &Self) -> bool {
        let lost = |kept: &Self| {
            let mut io = kept.io.iter();
            io.all(|(uid, io)| {
                saved
                    .io
                    .get(uid)
                    .is_some_and(|then| then.inode == io.inode && then.totals.lost_same(&io.totals))
            })
        };
        self.pods == saved.pods && self.io.len() == saved.io.len() && lost(self)
    }

    /// Takes everything that was counted of a time before the node's last start out: cgroups were made anew.
    pub(crate) fn after_a_boot(mut self) -> Self {
        self.io.clear();
        self
    }
}
