//! What the kernel counts for the whole node: CPU, memory, pressure, load, file systems, network.
//!
//! [`parse`] reads the texts of `/proc`, [`filesystems`] finds what is mounted, [`Reader`] keeps the
//! files open and fills [`Counters`].

pub mod devices;
pub mod filesystems;
pub mod parse;
pub mod process;
mod reader;

pub use reader::Reader;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::cgroup::Pressure;
use crate::network::Interface;

/// One reading of the node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// CPU time by mode, summed over all CPUs. `/proc/stat`, line `cpu`.
    pub cpu: Option<CpuModes>,
    /// CPUs online.
    pub cpus: Option<u32>,
    /// `/proc/meminfo`, in bytes.
    pub memory: Option<MemInfo>,
    /// Load averages over 1, 5 and 15 minutes. `/proc/loadavg`.
    pub load: Option<[f64; 3]>,
    /// `/proc/pressure/*`; absent where the kernel has no PSI.
    pub pressure: Pressure,
    /// Processes killed by the OOM killer on the whole node. `/proc/vmstat oom_kill` (Linux 4.13).
    pub oom_kills: Option<u64>,
    /// When the kernel booted. `/proc/stat`, line `btime`.
    pub booted: Option<SystemTime>,
    /// File systems on real block devices, each device once.
    pub filesystems: Vec<Filesystem>,
    /// Interfaces of the node's own network namespace, the pods' `veth` ends and `lo` left out.
    pub interfaces: Vec<Interface>,
}

/// CPU time by what it was spent on. Source: proc(5), `/proc/stat`; `guest` is part of `user` there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the kernel's own words")]
pub struct CpuModes {
    pub user: Duration,
    pub nice: Duration,
    pub system: Duration,
    pub idle: Duration,
    pub iowait: Duration,
    pub irq: Duration,
    pub softirq: Duration,
    pub steal: Duration,
}

/// `/proc/meminfo`, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the kernel's own words")]
pub struct MemInfo {
    pub total: u64,
    pub free: u64,
    /// Linux 3.14.
    pub available: Option<u64>,
    pub buffers: u64,
    pub cached: u64,
    pub shmem: u64,
    pub inactive_file: u64,
    pub slab_reclaimable: u64,
    pub slab_unreclaimable: u64,
    pub swap_total: u64,
    pub swap_free: u64,
}

/// One mounted file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filesystem {
    /// Such as `/dev/sda1`.
    pub device: Arc<str>,
    /// Where it is mounted on the node.
    pub mountpoint: Arc<str>,
    /// Such as `ext4`.
    pub fstype: Arc<str>,
    /// Bytes in all.
    pub size: u64,
    /// Bytes free for anyone.
    pub available: u64,
    /// Bytes free for root.
    pub free: u64,
    /// Inodes in all.
    pub files: u64,
    /// Inodes free.
    pub files_free: u64,
}
