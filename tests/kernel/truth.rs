//! What the kernel's own files say, in the units of the series, and the comparison with a page.
//!
//! Reads with the standard library alone: were the collector's parser used, a mistake in it would agree
//! with itself.

use std::time::Duration;

use crate::cgroups::{Container, Group, Version, version};
use crate::page::Page;
use crate::podmeter::until;

/// A series and what the kernel says about it; `None` is a series that should be absent.
pub(crate) type Truth = (&'static str, fn(&Group) -> Option<f64>);

/// CPU time.
pub(crate) const CPU: &[Truth] = &[
    ("container_cpu_usage_seconds_total", |group| match version() {
        Version::V1 => seconds(group.number("cpuacct.usage").map(Duration::from_nanos)),
        Version::V2 => micros(group, "cpu.stat", "usage_usec"),
    }),
    ("container_cpu_user_seconds_total", |group| match version() {
        Version::V1 => ticks(group, "user"),
        Version::V2 => micros(group, "cpu.stat", "user_usec"),
    }),
    ("container_cpu_system_seconds_total", |group| match version() {
        Version::V1 => ticks(group, "system"),
        Version::V2 => micros(group, "cpu.stat", "system_usec"),
    }),
];

/// CFS bandwidth, of a cgroup with a limit.
pub(crate) const THROTTLING: &[Truth] = &[
    ("container_cpu_cfs_periods_total", |group| count(group.key("cpu.stat", "nr_periods"))),
    ("container_cpu_cfs_throttled_periods_total", |group| {
        count(group.key("cpu.stat", "nr_throttled"))
    }),
    ("container_cpu_cfs_throttled_seconds_total", |group| match version() {
        Version::V1 => seconds(group.key("cpu.stat", "throttled_time").map(Duration::from_nanos)),
        Version::V2 => micros(group, "cpu.stat", "throttled_usec"),
    }),
    ("container_spec_cpu_quota", |group| match version() {
        Version::V1 => count(group.number("cpu.cfs_quota_us")),
        Version::V2 => count(word(group, "cpu.max", 0)),
    }),
    ("container_spec_cpu_period", |group| match version() {
        Version::V1 => count(group.number("cpu.cfs_period_us")),
        Version::V2 => count(word(group, "cpu.max", 1)),
    }),
    ("container_spec_cpu_shares", |group| count(group.number("cpu.shares"))),
    ("podmeter_container_cpu_weight", |group| count(group.number("cpu.weight"))),
];

/// Memory in use, by kind, and its limit.
pub(crate) const MEMORY: &[Truth] = &[
    ("container_memory_usage_bytes", |group| count(usage(group))),
    ("container_memory_working_set_bytes", |group| {
        let inactive = stat(group, "total_inactive_file", "inactive_file")?;
        count(usage(group).map(|usage| usage.saturating_sub(inactive)))
    }),
    ("podmeter_container_memory_unreclaimable_bytes", |group| {
        let slab = group.key("memory.stat", "slab_unreclaimable").unwrap_or(0);
        let anon = stat(group, "total_rss", "anon")?;
        count(Some(anon + stat(group, "total_shmem", "shmem")? + slab))
    }),
    ("container_memory_rss", |group| count(stat(group, "total_rss", "anon"))),
    ("container_memory_cache", |group| count(stat(group, "total_cache", "file"))),
    ("podmeter_container_memory_shmem_bytes", |group| count(stat(group, "total_shmem", "shmem"))),
    ("container_memory_mapped_file", |group| {
        count(stat(group, "total_mapped_file", "file_mapped"))
    }),
    ("container_memory_total_active_file_bytes", |group| {
        count(stat(group, "total_active_file", "active_file"))
    }),
    ("container_memory_total_inactive_file_bytes", |group| {
        count(stat(group, "total_inactive_file", "inactive_file"))
    }),
    ("container_memory_kernel_usage", |group| match version() {
        Version::V1 => count(group.number("memory.kmem.usage_in_bytes")),
        Version::V2 => count(group.key("memory.stat", "kernel")),
    }),
    ("podmeter_container_memory_slab_reclaimable_bytes", |group| {
        count(group.key("memory.stat", "slab_reclaimable"))
    }),
    ("podmeter_container_memory_slab_unreclaimable_bytes", |group| {
        count(group.key("memory.stat", "slab_unreclaimable"))
    }),
    ("container_memory_max_usage_bytes", |group| match version() {
        Version::V1 => count(group.number("memory.max_usage_in_bytes")),
        Version::V2 => count(group.number("memory.peak")),
    }),
    ("container_spec_memory_limit_bytes", |group| match version() {
        // Without a limit v1 says the highest multiple of a page, and the series 0.
        Version::V1 => {
            let limit = group.number("memory.limit_in_bytes")?;
            count(Some(if limit > 1 << 62 { 0 } else { limit }))
        }
        Version::V2 => count(Some(group.number("memory.max").unwrap_or(0))),
    }),
    ("podmeter_container_memory_high_bytes", |group| count(group.number("memory.high"))),
];

/// What happened for lack of memory.
pub(crate) const MEMORY_EVENTS: &[Truth] = &[
    ("container_memory_failcnt", |group| match version() {
        Version::V1 => count(group.number("memory.failcnt")),
        Version::V2 => count(group.key("memory.events", "max")),
    }),
    ("container_memory_events_max_total", |group| count(group.key("memory.events", "max"))),
    ("container_memory_events_high_total", |group| count(group.key("memory.events", "high"))),
    ("container_oom_events_total", |group| count(oom_kills(group))),
];

/// Pressure stall information; all absent on v1.
pub(crate) const PRESSURE: &[Truth] = &[
    ("container_pressure_cpu_waiting_seconds_total", |group| stall(group, "cpu", "some")),
    ("container_pressure_cpu_stalled_seconds_total", |group| stall(group, "cpu", "full")),
    ("container_pressure_memory_waiting_seconds_total", |group| stall(group, "memory", "some")),
    ("container_pressure_memory_stalled_seconds_total", |group| stall(group, "memory", "full")),
    ("container_pressure_io_waiting_seconds_total", |group| stall(group, "io", "some")),
    ("container_pressure_io_stalled_seconds_total", |group| stall(group, "io", "full")),
];

/// Tasks.
pub(crate) const PIDS: &[Truth] = &[
    ("container_threads", |group| count(group.number("pids.current"))),
    ("container_threads_max", |group| count(group.number("pids.max"))),
];

/// Processes that the OOM killer killed.
#[must_use]
pub(crate) fn oom_kills(group: &Group) -> Option<u64> {
    match version() {
        Version::V1 => group.key("memory.oom_control", "oom_kill"),
        Version::V2 => group.key("memory.events", "oom_kill"),
    }
}

/// Asks for pages until nothing changed around one, then holds that page to what the kernel says. The
/// cgroup should be at rest.
///
/// # Panics
/// When the page says something else, or the cgroup does not come to rest.
pub(crate) fn agree(
    container: &Container,
    truths: &[Truth],
    mut ask: impl FnMut() -> Page,
) -> Page {
    let say = || truths.iter().map(|(_, truth)| truth(&container.group)).collect::<Vec<_>>();
    until("a page around which the kernel's files did not change", || {
        let before = say();
        let page = ask();
        (before == say()).then(|| {
            for ((name, _), truth) in truths.iter().zip(before) {
                assert_eq!(page.value(name, &container.labels()), truth, "{name}");
            }
            page
        })
    })
}

/// Holds a page to what the kernel said before and after it was made, for counters of a busy cgroup.
///
/// # Panics
/// When a value is not between the two.
pub(crate) fn between(container: &Container, truths: &[Truth], ask: impl FnOnce() -> Page) -> Page {
    let say = || truths.iter().map(|(_, truth)| truth(&container.group)).collect::<Vec<_>>();
    let before = say();
    let page = ask();
    for (((name, _), low), high) in truths.iter().zip(before).zip(say()) {
        let value = page.value(name, &container.labels());
        assert!(low <= value && value <= high, "{name}: not {low:?} <= {value:?} <= {high:?}");
        assert_eq!(low.is_some(), value.is_some(), "{name}");
    }
    page
}

fn count(number: Option<u64>) -> Option<f64> {
    number.map(|number| number as f64)
}

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_secs_f64())
}

fn micros(group: &Group, file: &str, key: &str) -> Option<f64> {
    seconds(group.key(file, key).map(Duration::from_micros))
}

/// `cpuacct.stat`, in units of 1/100 s on every architecture that Kubernetes runs on.
fn ticks(group: &Group, key: &str) -> Option<f64> {
    seconds(group.key("cpuacct.stat", key).map(|ticks| Duration::from_millis(ticks * 10)))
}

fn usage(group: &Group) -> Option<u64> {
    match version() {
        Version::V1 => group.number("memory.usage_in_bytes"),
        Version::V2 => group.number("memory.current"),
    }
}

fn stat(group: &Group, v1: &str, v2: &str) -> Option<u64> {
    group.key("memory.stat", if version() == Version::V1 { v1 } else { v2 })
}

fn word(group: &Group, file: &str, at: usize) -> Option<u64> {
    group.read(file)?.split_whitespace().nth(at)?.parse().ok()
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=12` in µs.
fn stall(group: &Group, resource: &str, line: &str) -> Option<f64> {
    let text = group.read(&format!("{resource}.pressure"))?;
    let line = text.lines().find(|text| text.starts_with(line))?;
    let (_, total) = line.split_once("total=")?;
    seconds(total.trim().parse().ok().map(Duration::from_micros))
}
