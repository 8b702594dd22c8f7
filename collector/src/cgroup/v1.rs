//! Which files a v1 cgroup has and what they mean.
//!
//! Each row of [`FILES`] is read every tick in this order from the hierarchy of its controller; how a
//! file is found and kept open is [`super::Reader`]'s business.
//!
//! Source: Linux `Documentation/admin-guide/cgroup-v1/`.

use std::time::Duration;

use super::file::Spec;
use super::mounts::Controller;
use super::parse::{self, Outcome, flat, keep, set};
use super::{Counters, Cpu, CpuQuota, DeviceIo, Limit, Memory};
use crate::faults::Kind;

/// Every file read of a v1 cgroup, each with the names to try.
pub const FILES: &[Spec] = &[
    Spec::new(Controller::Cpuacct, &["cpuacct.usage"], |text, counters| {
        one(&mut counters.cpu.usage, parse::number(text).map(Duration::from_nanos))
    }),
    Spec::new(Controller::Cpuacct, &["cpuacct.stat"], |text, counters| {
        cpuacct_stat(text, &mut counters.cpu)
    }),
    Spec::new(Controller::Cpu, &["cpu.stat"], |text, counters| cpu_stat(text, &mut counters.cpu)),
    Spec::new(Controller::Cpu, &["cpu.cfs_quota_us"], |text, counters| {
        quota(text, &mut counters.cpu)
    }),
    Spec::new(Controller::Cpu, &["cpu.cfs_period_us"], |text, counters| {
        period(text, &mut counters.cpu)
    }),
    Spec::new(Controller::Cpu, &["cpu.shares"], |text, counters| {
        one(&mut counters.cpu.shares, parse::number(text))
    }),
    Spec::new(Controller::Memory, &["memory.usage_in_bytes"], |text, counters| {
        one(&mut counters.memory.usage, parse::number(text))
    }),
    Spec::new(Controller::Memory, &["memory.max_usage_in_bytes"], |text, counters| {
        one(&mut counters.memory.peak, parse::number(text))
    }),
    Spec::new(Controller::Memory, &["memory.limit_in_bytes"], |text, counters| {
        one(&mut counters.memory.limit, parse::limit(text))
    }),
    Spec::new(Controller::Memory, &["memory.kmem.usage_in_bytes"], |text, counters| {
        one(&mut counters.memory.kernel, parse::number(text))
    }),
    Spec::new(Controller::Memory, &["memory.failcnt"], |text, counters| {
        one(&mut counters.memory.limit_hits, parse::number(text))
    }),
    Spec::new(Controller::Memory, &["memory.oom_control"], |text, counters| {
        oom_control(text, &mut counters.memory)
    }),
    Spec::new(Controller::Memory, &["memory.stat"], |text, counters| {
        memory_stat(text, &mut counters.memory)
    }),
    Spec::new(
        Controller::Blkio,
        &["blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"],
        |text, counters| parse::blkio(text, &mut counters.io, set_bytes),
    ),
    Spec::new(
        Controller::Blkio,
        &["blkio.throttle.io_serviced_recursive", "blkio.throttle.io_serviced"],
        |text, counters| parse::blkio(text, &mut counters.io, set_operations),
    ),
    Spec::new(Controller::Pids, &["pids.current"], |text, counters| {
        one(&mut counters.pids.current, parse::number(text))
    }),
    Spec::new(Controller::Pids, &["pids.max"], |text, counters| {
        one(&mut counters.pids.limit, parse::limit(text))
    }),
];

/// `cpuacct.stat`, in `USER_HZ`.
///
/// # Errors
/// [`Kind::Malformed`] when a known key has a bad value; its field is `None` then.
pub fn cpuacct_stat(text: &[u8], cpu: &mut Cpu) -> Outcome {
    let mut outcome = Ok(());
    for (key, word) in flat(text) {
        match key {
            b"user" => keep(&mut cpu.user, parse::digits(word).map(from_ticks), &mut outcome),
            b"system" => keep(&mut cpu.system, parse::digits(word).map(from_ticks), &mut outcome),
            _ => {}
        }
    }
    outcome
}

/// `USER_HZ` ticks as time.
#[must_use]
pub fn from_ticks(ticks: u64) -> Duration {
    const NANOS: u64 = 1_000_000_000;
    let hz = rustix::param::clock_ticks_per_second().clamp(1, NANOS);
    Duration::from_secs(ticks / hz) + Duration::from_nanos(ticks % hz * (NANOS / hz))
}

/// v1 `cpu.stat`.
///
/// # Errors
/// [`Kind::Malformed`] when a known key has a bad value; its field is `None` then.
pub fn cpu_stat(text: &[u8], cpu: &mut Cpu) -> Outcome {
    let mut outcome = Ok(());
    for (key, word) in flat(text) {
        match key {
            b"nr_periods" => set(&mut cpu.periods, word, &mut outcome),
            b"nr_throttled" => set(&mut cpu.throttled_periods, word, &mut outcome),
            b"throttled_time" => keep(
                &mut cpu.throttled,
                parse::digits(word).map(Duration::from_nanos),
                &mut outcome,
            ),
            _ => {}
        }
    }
    outcome
}

/// `cpu.cfs_quota_us`; the period comes from the next file.
fn quota(text: &[u8], cpu: &mut Cpu) -> Outcome {
    let quota = match parse::limit(text)? {
        Limit::Max => Limit::Max,
        Limit::At(micros) => Limit::At(Duration::from_micros(micros)),
    };
    cpu.quota = Some(CpuQuota { quota, period: Duration::ZERO });
    Ok(())
}

/// `cpu.cfs_period_us`.
fn period(text: &[u8], cpu: &mut Cpu) -> Outcome {
    let period = parse::number(text)?;
    if let Some(quota) = &mut cpu.quota {
        quota.period = Duration::from_micros(period);
    }
    Ok(())
}

/// Takes back what came from half of the files that it needs.
pub fn finish(counters: &mut Counters) {
    counters.cpu.quota = counters.cpu.quota.filter(|quota| !quota.period.is_zero());
}

/// `memory.oom_control`; its key `oom_kill` came with Linux 4.13.
///
/// # Errors
/// [`Kind::Malformed`] when the known key has a bad value; its field is `None` then.
pub fn oom_control(text: &[u8], memory: &mut Memory) -> Outcome {
    let mut outcome = Ok(());
    for (key, word) in flat(text) {
        if key == b"oom_kill" {
            set(&mut memory.oom_kills, word, &mut outcome);
        }
    }
    outcome
}

/// v1 `memory.stat`: the keys `total_*`, which include descendants; the plain key where there is no
/// such one, because the hierarchy is off.
///
/// # Errors
/// [`Kind::Malformed`] when a known key has a bad value; its field is `None` then.
pub fn memory_stat(text: &[u8], memory: &mut Memory) -> Outcome {
    let mut outcome = Ok(());
    let mut own = Memory::default();
    // A bad total must not be papered over with the cgroup's own share, so note that it was there.
    let mut has_total = false;
    for (key, word) in flat(text) {
        let total = key.strip_prefix(b"total_");
        let into = if total.is_some() { &mut *memory } else { &mut own };
        let field = match total.unwrap_or(key) {
            b"cache" => &mut into.file,
            b"rss" => &mut into.anon,
            b"shmem" => &mut into.shmem,
            b"mapped_file" => &mut into.mapped_file,
            b"swap" => &mut into.swap,
            b"inactive_file" => &mut into.inactive_file,
            b"active_file" => &mut into.active_file,
            b"pgfault" => &mut into.page_faults,
            b"pgmajfault" => &mut into.major_page_faults,
            _ => continue,
        };
        has_total |= total.is_some();
        set(field, word, &mut outcome);
    }
    if !has_total {
        // Only these come from this file.
        memory.file = own.file;
        memory.anon = own.anon;
        memory.shmem = own.shmem;
        memory.mapped_file = own.mapped_file;
        memory.swap = own.swap;
        memory.inactive_file = own.inactive_file;
        memory.active_file = own.active_file;
        memory.page_faults = own.page_faults;
        memory.major_page_faults = own.major_page_faults;
    }
    outcome
}

fn set_bytes(row: &mut DeviceIo, is_read: bool, value: u64) {
    *if is_read { &mut row.read_bytes } else { &mut row.write_bytes } = value;
}

fn set_operations(row: &mut DeviceIo, is_read: bool, value: u64) {
    *if is_read { &mut row.reads } else { &mut row.writes } = value;
}

/// Sets the one field of a file that holds one value.
fn one<T>(field: &mut Option<T>, value: Result<T, Kind>) -> Outcome {
    *field = Some(value?);
    Ok(())
}

/// Reads `text` as the file `name` into `counters`; `None` when a v1 cgroup has no such file.
pub fn parse(name: &str, text: &[u8], counters: &mut Counters) -> Option<Outcome> {
    FILES.iter().find(|spec| spec.names.contains(&name)).map(|spec| (spec.fill)(text, counters))
}

#[cfg(test)]
mod tests;
