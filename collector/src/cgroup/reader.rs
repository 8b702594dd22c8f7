//! Ties discovery and reading together: one call a tick, one row a cgroup.

use std::path::PathBuf;
use std::time::SystemTime;

use super::{ContainerId, Counters, PodUid, mounts};
use crate::faults::ReadErrors;

/// Where to read.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the cgroup file systems are mounted, `/sys/fs/cgroup` unless a container mounts the
    /// host's elsewhere.
    pub root: PathBuf,
    /// The mount table that says which hierarchy is where, such as `/proc/self/mountinfo`.
    pub mountinfo: PathBuf,
    /// Only cgroups below this path (in every hierarchy) are looked at; `/` for all.
    pub subtree: String,
}

/// One incarnation of one cgroup: a path that is made again gets a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CgroupKey(pub u64);

/// Whose cgroup it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// A pod's own cgroup, the parent of its containers.
    Pod(PodUid),
    /// A container's cgroup.
    Container {
        /// The pod it is in; `None` for a container that Kubernetes does not run.
        pod: Option<PodUid>,
        /// The runtime's id of it.
        id: ContainerId,
    },
}

/// What one tick read of one cgroup.
#[derive(Clone, Debug)]
pub struct Cgroup {
    /// Tells this incarnation from any other.
    pub key: CgroupKey,
    /// Pod or container.
    pub scope: Scope,
    /// Path below the hierarchy's root, with a leading `/`.
    pub path: Box<str>,
    /// The kernel's inode number; grows with creation time within one hierarchy.
    pub inode: u64,
    /// When the cgroup was made, as far as the directory's times tell; the first sight otherwise.
    pub created: SystemTime,
    /// Whether it was made while this reader was looking (then its counters began at 0 here).
    pub seen_from_start: bool,
    /// The latest counters.
    pub counters: Counters,
}

/// Reads every pod's and container's cgroup, keeping the files open between ticks.
#[derive(Debug)]
pub struct Reader {
    rows: Vec<Cgroup>,
}

impl Reader {
    /// Finds the hierarchies; the cgroups themselves are found by the first [`Self::tick`].
    ///
    /// # Errors
    /// When no cgroup hierarchy with a usable controller is mounted.
    pub fn open(config: Config) -> Result<Self, mounts::Error> {
        let _ = config;
        unimplemented!()
    }

    /// Looks for new and gone cgroups, then reads all.
    pub fn tick(&mut self, errors: &mut ReadErrors) {
        let _ = errors;
    }

    /// What the last tick read, pods and containers in no particular order.
    #[must_use]
    pub fn cgroups(&self) -> &[Cgroup] {
        &self.rows
    }
}
