//! What the kernel counts for a cgroup: one row gives a container's and a pod's series.

use super::{Kind, Metric, Scope, Unit};

macro_rules! kernel {
    ($($variant:ident $kind:ident $unit:ident $container:literal $pod:literal [$($label:literal),*] $help:literal $v1:literal $v2:literal;)*) => {
        /// A kernel counter, whichever cgroup it is read from.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the table's help says what each is")]
        #[repr(u16)]
        pub enum Kernel { $($variant),* }

        pub(super) const COUNT: u16 = {
            let mut count = 0;
            $(let _ = Kernel::$variant; count += 1;)*
            count
        };

        pub(super) static CONTAINER: [Metric; COUNT as usize] = [$(Metric {
            name: $container, kind: Kind::$kind, unit: Unit::$unit, scope: Scope::Container, labels: &[$($label),*], help: $help, v1: $v1, v2: $v2,
        }),*];

        pub(super) static POD: [Metric; COUNT as usize] = [$(Metric {
            name: $pod, kind: Kind::$kind, unit: Unit::$unit, scope: Scope::Pod, labels: &[$($label),*], help: $help, v1: $v1, v2: $v2,
        }),*];
    };
}

kernel! {
    CpuUsage Counter Seconds "container_cpu_usage_seconds_total" "pod_cpu_usage_seconds_total" []
        "CPU time used." "cpuacct.usage (ns)" "cpu.stat usage_usec";
    CpuUser Counter Seconds "container_cpu_user_seconds_total" "podmeter_pod_cpu_user_seconds_total" []
        "CPU time used in user mode." "cpuacct.stat user (USER_HZ)" "cpu.stat user_usec";
    CpuSystem Counter Seconds "container_cpu_system_seconds_total" "podmeter_pod_cpu_system_seconds_total" []
        "CPU time used in kernel mode." "cpuacct.stat system (USER_HZ)" "cpu.stat system_usec";
    CfsPeriods Counter None "container_cpu_cfs_periods_total" "podmeter_pod_cpu_cfs_periods_total" []
        "Bandwidth periods that elapsed with something to run; only where there is a CPU limit." "cpu.stat nr_periods" "cpu.stat nr_periods";
    CfsThrottledPeriods Counter None "container_cpu_cfs_throttled_periods_total" "podmeter_pod_cpu_cfs_throttled_periods_total" []
        "Bandwidth periods in which the CPU limit was used up." "cpu.stat nr_throttled" "cpu.stat nr_throttled";
    CfsThrottled Counter Seconds "container_cpu_cfs_throttled_seconds_total" "podmeter_pod_cpu_cfs_throttled_seconds_total" []
        "Time that runnable tasks waited because the CPU limit was used up, summed over CPUs." "cpu.stat throttled_time (ns)" "cpu.stat throttled_usec";
    CpuShares Gauge None "container_spec_cpu_shares" "podmeter_pod_cpu_shares" []
        "CPU shares, the weight under contention; cgroup v1 only." "cpu.shares" "";
    CpuWeight Gauge None "podmeter_container_cpu_weight" "podmeter_pod_cpu_weight" []
        "CPU weight under contention, 1 to 10000; cgroup v2 only, where runtimes convert requests by different formulas." "" "cpu.weight";
    CpuQuota Gauge Microseconds "container_spec_cpu_quota" "podmeter_pod_cpu_quota" []
        "CPU time allowed in each period, in microseconds; absent without a limit." "cpu.cfs_quota_us" "cpu.max";
    CpuPeriod Gauge Microseconds "container_spec_cpu_period" "podmeter_pod_cpu_period" []
        "Length of a bandwidth period, in microseconds." "cpu.cfs_period_us" "cpu.max";
    MemoryUsage Gauge Bytes "container_memory_usage_bytes" "podmeter_pod_memory_usage_bytes" []
        "All memory charged, page cache included." "memory.usage_in_bytes" "memory.current";
    MemoryWorkingSet Gauge Bytes "container_memory_working_set_bytes" "pod_memory_working_set_bytes" []
        "Usage less inactive file pages, never below 0: what the kubelet evicts by." "memory.usage_in_bytes - memory.stat total_inactive_file" "memory.current - memory.stat inactive_file";
    MemoryUnreclaimable Gauge Bytes "podmeter_container_memory_unreclaimable_bytes" "podmeter_pod_memory_unreclaimable_bytes" []
        "Memory that reclaim cannot give back: anonymous, shared and (v2) unreclaimable slab. This is what runs into a limit." "memory.stat total_rss + total_shmem" "memory.stat anon + shmem + slab_unreclaimable";
    MemoryRss Gauge Bytes "container_memory_rss" "podmeter_pod_memory_rss_bytes" []
        "Anonymous memory." "memory.stat total_rss" "memory.stat anon";
    MemoryCache Gauge Bytes "container_memory_cache" "podmeter_pod_memory_cache_bytes" []
        "Page cache, shared memory included." "memory.stat total_cache" "memory.stat file";
    MemorySwap Gauge Bytes "container_memory_swap" "pod_swap_usage_bytes" []
        "Swap in use." "memory.stat total_swap" "memory.swap.current";
    MemoryShmem Gauge Bytes "podmeter_container_memory_shmem_bytes" "podmeter_pod_memory_shmem_bytes" []
        "Shared memory and tmpfs." "memory.stat total_shmem" "memory.stat shmem";
    MemoryMappedFile Gauge Bytes "container_memory_mapped_file" "podmeter_pod_memory_mapped_file_bytes" []
        "File pages mapped into processes." "memory.stat total_mapped_file" "memory.stat file_mapped";
    MemoryActiveFile Gauge Bytes "container_memory_total_active_file_bytes" "podmeter_pod_memory_active_file_bytes" []
        "File pages used recently." "memory.stat total_active_file" "memory.stat active_file";
    MemoryInactiveFile Gauge Bytes "container_memory_total_inactive_file_bytes" "podmeter_pod_memory_inactive_file_bytes" []
        "File pages that reclaim takes first." "memory.stat total_inactive_file" "memory.stat inactive_file";
    MemoryKernel Gauge Bytes "container_memory_kernel_usage" "podmeter_pod_memory_kernel_bytes" []
        "Kernel memory." "memory.kmem.usage_in_bytes" "memory.stat kernel";
    MemorySlabReclaimable Gauge Bytes "podmeter_container_memory_slab_reclaimable_bytes" "podmeter_pod_memory_slab_reclaimable_bytes" []
        "Kernel caches that can be given back, such as dentries." "" "memory.stat slab_reclaimable";
    MemorySlabUnreclaimable Gauge Bytes "podmeter_container_memory_slab_unreclaimable_bytes" "podmeter_pod_memory_slab_unreclaimable_bytes" []
        "Kernel objects that cannot be given back." "" "memory.stat slab_unreclaimable";
    MemoryPeak Gauge Bytes "container_memory_max_usage_bytes" "podmeter_pod_memory_max_usage_bytes" []
        "Highest usage so far." "memory.max_usage_in_bytes" "memory.peak";
    MemoryLimit Gauge Bytes "container_spec_memory_limit_bytes" "podmeter_pod_memory_limit_bytes" []
        "Memory limit that the kernel enforces; 0 for none, as in cAdvisor." "memory.limit_in_bytes" "memory.max";
    MemoryHigh Gauge Bytes "podmeter_container_memory_high_bytes" "podmeter_pod_memory_high_bytes" []
        "Usage above which the kernel slows the cgroup down; absent for none." "" "memory.high";
    MemoryFailcnt Counter None "container_memory_failcnt" "podmeter_pod_memory_failcnt_total" []
        "How often usage hit the limit and memory had to be reclaimed." "memory.failcnt" "memory.events max";
    MemoryEventsMax Counter None "container_memory_events_max_total" "podmeter_pod_memory_events_max_total" []
        "How often usage was about to go over memory.max; cgroup v2 only." "" "memory.events max";
    MemoryEventsHigh Counter None "container_memory_events_high_total" "podmeter_pod_memory_events_high_total" []
        "How often tasks were slowed down for usage over memory.high; cgroup v2 only." "" "memory.events high";
    MemoryFailures Counter None "container_memory_failures_total" "podmeter_pod_memory_failures_total" ["failure_type", "scope"]
        "Page faults of the cgroup and those below it: pgfault, and pgmajfault for those that needed I/O." "memory.stat total_pgfault, total_pgmajfault" "memory.stat pgfault, pgmajfault";
    OomEvents Counter None "container_oom_events_total" "podmeter_pod_oom_events_total" []
        "Processes killed for lack of memory, child processes too, kept across the container's restarts." "memory.oom_control oom_kill, status.lastState" "memory.events oom_kill, status.lastState";
    PressureCpuWaiting Counter Seconds "container_pressure_cpu_waiting_seconds_total" "podmeter_pod_pressure_cpu_waiting_seconds_total" []
        "Time in which some task waited for a CPU; throttling counts too." "" "cpu.pressure some";
    PressureCpuStalled Counter Seconds "container_pressure_cpu_stalled_seconds_total" "podmeter_pod_pressure_cpu_stalled_seconds_total" []
        "Time in which all tasks waited for a CPU at once." "" "cpu.pressure full";
    PressureMemoryWaiting Counter Seconds "container_pressure_memory_waiting_seconds_total" "podmeter_pod_pressure_memory_waiting_seconds_total" []
        "Time in which some task waited for memory." "" "memory.pressure some";
    PressureMemoryStalled Counter Seconds "container_pressure_memory_stalled_seconds_total" "podmeter_pod_pressure_memory_stalled_seconds_total" []
        "Time in which all tasks waited for memory at once." "" "memory.pressure full";
    PressureIoWaiting Counter Seconds "container_pressure_io_waiting_seconds_total" "podmeter_pod_pressure_io_waiting_seconds_total" []
        "Time in which some task waited for block I/O." "" "io.pressure some";
    PressureIoStalled Counter Seconds "container_pressure_io_stalled_seconds_total" "podmeter_pod_pressure_io_stalled_seconds_total" []
        "Time in which all tasks waited for block I/O at once." "" "io.pressure full";
    FsReadsBytes Counter Bytes "container_fs_reads_bytes_total" "podmeter_pod_fs_reads_bytes_total" ["device"]
        "Bytes read from a block device." "blkio.throttle.io_service_bytes_recursive Read" "io.stat rbytes";
    FsWritesBytes Counter Bytes "container_fs_writes_bytes_total" "podmeter_pod_fs_writes_bytes_total" ["device"]
        "Bytes written to a block device." "blkio.throttle.io_service_bytes_recursive Write" "io.stat wbytes";
    FsReads Counter None "container_fs_reads_total" "podmeter_pod_fs_reads_total" ["device"]
        "Read operations on a block device." "blkio.throttle.io_serviced_recursive Read" "io.stat rios";
    FsWrites Counter None "container_fs_writes_total" "podmeter_pod_fs_writes_total" ["device"]
        "Write operations on a block device." "blkio.throttle.io_serviced_recursive Write" "io.stat wios";
    Threads Gauge None "container_threads" "podmeter_pod_threads" []
        "Tasks (threads) alive." "pids.current" "pids.current";
    ThreadsMax Gauge None "container_threads_max" "podmeter_pod_threads_max" []
        "Most tasks allowed; absent for no limit." "pids.max" "pids.max";
    StartTime Gauge Seconds "container_start_time_seconds" "podmeter_pod_cgroup_created_timestamp_seconds" []
        "When it started, in Unix time: the kubelet's word where it has one, the cgroup's birth otherwise." "status.containerStatuses[].state.running.startedAt, directory" "status.containerStatuses[].state.running.startedAt, directory";
}
