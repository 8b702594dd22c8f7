//! One meaning for what cgroup v1 and v2 count: the same fields, the same units.
//!
//! `None` means that the kernel has no such file or key here (an older kernel, a controller that is
//! not enabled, the other cgroup version); a file that is there but cannot be understood is an error
//! of the reader instead. How the files are parsed is the business of [`super::v1`] and [`super::v2`].

use std::time::Duration;

/// Everything read from one cgroup in one tick.
///
/// Filled in place by the reader, so that a steady state allocates nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// CPU time, throttling and the CPU quota.
    pub cpu: Cpu,
    /// Memory in use, by kind, and the memory limits.
    pub memory: Memory,
    /// Pressure stall information; v2 only.
    pub pressure: Pressure,
    /// Block I/O by device, in the order of the kernel's file.
    pub io: Vec<DeviceIo>,
    /// Tasks and their limit.
    pub pids: Pids,
}

/// CPU time since the cgroup was made. Never reset while the cgroup lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// All CPU time. v1 `cpuacct.usage` (ns), v2 `cpu.stat usage_usec`.
    pub usage: Option<Duration>,
    /// CPU time in user mode. v1 `cpuacct.stat user` (`USER_HZ`), v2 `cpu.stat user_usec`.
    pub user: Option<Duration>,
    /// CPU time in kernel mode. v1 `cpuacct.stat system` (`USER_HZ`), v2 `cpu.stat system_usec`.
    pub system: Option<Duration>,
    /// Bandwidth periods that have elapsed with something to run. `cpu.stat nr_periods`.
    pub periods: Option<u64>,
    /// Periods in which the quota ran out. `cpu.stat nr_throttled`.
    pub throttled_periods: Option<u64>,
    /// Time that run queues waited for the next period, summed over CPUs.
    /// v1 `cpu.stat throttled_time` (ns), v2 `throttled_usec`.
    pub throttled: Option<Duration>,
    /// The bandwidth limit. v1 `cpu.cfs_quota_us` and `cpu.cfs_period_us`, v2 `cpu.max`.
    pub quota: Option<CpuQuota>,
    /// v1 `cpu.shares` (2 to 262144). Absent on v2.
    pub shares: Option<u64>,
    /// v2 `cpu.weight` (1 to 10000). Absent on v1.
    pub weight: Option<u64>,
}

/// A CPU bandwidth limit: `quota` of CPU time in each `period` of wall time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuQuota {
    /// CPU time that may be used in each period.
    pub quota: Limit<Duration>,
    /// Length of a period.
    pub period: Duration,
}

impl CpuQuota {
    /// The limit in cores, `None` when there is none.
    #[must_use]
    pub fn cores(&self) -> Option<f64> {
        let Limit::At(quota) = self.quota else { return None };
        // Whole nanoseconds, so that 150000/100000 is 1.5 and not a little less.
        (!self.period.is_zero()).then(|| quota.as_nanos() as f64 / self.period.as_nanos() as f64)
    }
}

/// A limit that may be absent: the kernel writes `max` (v2), `-1` or a number near 2^63 (v1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit<T> {
    /// No limit.
    Max,
    /// Limited to this.
    At(T),
}

impl<T: Copy> Limit<T> {
    /// The limit, if there is one.
    #[must_use]
    pub fn at(&self) -> Option<T> {
        match *self {
            Self::Max => None,
            Self::At(limit) => Some(limit),
        }
    }
}

/// Memory of a cgroup and its descendants, in bytes unless the field says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All memory charged. v1 `memory.usage_in_bytes`, v2 `memory.current`.
    pub usage: Option<u64>,
    /// Highest usage so far. v1 `memory.max_usage_in_bytes`, v2 `memory.peak` (Linux 5.19).
    pub peak: Option<u64>,
    /// Hard limit; reaching it reclaims, then kills. v1 `memory.limit_in_bytes`, v2 `memory.max`.
    pub limit: Option<Limit<u64>>,
    /// Throttling limit. v2 `memory.high`.
    pub high: Option<Limit<u64>>,
    /// Swap in use. v1 `memory.stat total_swap`, v2 `memory.swap.current`.
    pub swap: Option<u64>,
    /// Anonymous memory. v1 `memory.stat total_rss`, v2 `anon`.
    pub anon: Option<u64>,
    /// Page cache, shared memory included. v1 `total_cache`, v2 `file`.
    pub file: Option<u64>,
    /// Shared memory and tmpfs: part of `file`, yet only swap can free it. v1 `total_shmem`, v2 `shmem`.
    pub shmem: Option<u64>,
    /// File pages mapped into processes. v1 `total_mapped_file`, v2 `file_mapped`.
    pub mapped_file: Option<u64>,
    /// File pages that reclaim takes first. v1 `total_inactive_file`, v2 `inactive_file`.
    pub inactive_file: Option<u64>,
    /// v1 `total_active_file`, v2 `active_file`.
    pub active_file: Option<u64>,
    /// Kernel caches that can be given back, such as dentries. v2 `slab_reclaimable`.
    pub slab_reclaimable: Option<u64>,
    /// Kernel objects that cannot be given back. v2 `slab_unreclaimable`.
    pub slab_unreclaimable: Option<u64>,
    /// All kernel memory. v1 `memory.kmem.usage_in_bytes`, v2 `memory.stat kernel` (Linux 5.18).
    pub kernel: Option<u64>,
    /// Page faults, a count. v1 `total_pgfault`, v2 `pgfault`.
    pub page_faults: Option<u64>,
    /// Page faults that needed I/O, a count. v1 `total_pgmajfault`, v2 `pgmajfault`.
    pub major_page_faults: Option<u64>,
    /// How often usage hit the hard limit. v1 `memory.failcnt`, v2 `memory.events max`.
    pub limit_hits: Option<u64>,
    /// How often usage was above `memory.high` and got throttled. v2 `memory.events high`.
    pub high_hits: Option<u64>,
    /// Processes killed by the OOM killer in this cgroup and below.
    /// v1 `memory.oom_control oom_kill` (Linux 4.13), v2 `memory.events oom_kill`.
    pub oom_kills: Option<u64>,
}

impl Memory {
    /// Usage less the file pages that reclaim takes first, never below 0: what the kubelet evicts by.
    #[must_use]
    pub fn working_set(&self) -> Option<u64> {
        Some(self.usage?.saturating_sub(self.inactive_file.unwrap_or(0)))
    }

    /// What no reclaim gives back short of swapping: anonymous memory, shared memory and, where the
    /// kernel tells it (v2), unreclaimable slab. This is what runs into a limit.
    #[must_use]
    pub fn unreclaimable(&self) -> Option<u64> {
        let more = [self.shmem, self.slab_unreclaimable].into_iter().flatten().sum::<u64>();
        Some(self.anon?.saturating_add(more))
    }
}

/// Pressure stall information of one cgroup or of the node, since it was made.
///
/// Source: Linux `Documentation/accounting/psi.rst`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// `cpu.pressure`, `/proc/pressure/cpu`.
    pub cpu: Option<Stalls>,
    /// `memory.pressure`.
    pub memory: Option<Stalls>,
    /// `io.pressure`.
    pub io: Option<Stalls>,
}

/// The two totals of one pressure file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stalls {
    /// Time in which some task waited. Line `some`, field `total` (µs).
    pub some: Stall,
    /// Time in which all non-idle tasks waited at once. Line `full`; absent for CPU before Linux 5.13.
    pub full: Option<Stall>,
}

/// Total stall time.
pub type Stall = Duration;

/// Block I/O of one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceIo {
    /// Major and minor number, as in `/proc/diskstats`.
    pub device: (u32, u32),
    /// Bytes read. v1 `blkio.throttle.io_service_bytes_recursive`, v2 `io.stat rbytes`.
    pub read_bytes: u64,
    /// Bytes written.
    pub write_bytes: u64,
    /// Read operations. v1 `blkio.throttle.io_serviced_recursive`, v2 `io.stat rios`.
    pub reads: u64,
    /// Write operations.
    pub writes: u64,
}

/// Tasks (threads count, as in the kernel).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pids {
    /// `pids.current`.
    pub current: Option<u64>,
    /// `pids.max`.
    pub limit: Option<Limit<u64>>,
}
