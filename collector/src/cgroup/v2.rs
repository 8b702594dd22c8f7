//! Which files a v2 cgroup has and what they mean.
//!
//! Each row of [`FILES`] is read every tick in this order; how a file is found and kept open is
//! [`super::Reader`]'s business.
//!
//! Source: Linux `Documentation/admin-guide/cgroup-v2.rst`, section "Controllers".

use std::time::Duration;

use super::file::Spec;
use super::mounts::Controller;
use super::parse::{self, Outcome, flat, keep, set};
use super::{Counters, Cpu, Memory};
use crate::faults::Kind;

/// Every file read of a v2 cgroup.
pub const FILES: &[Spec] = &[
    Spec::new(Controller::Cpu, &["cpu.stat"], |text, counters| cpu_stat(text, &mut counters.cpu)),
    Spec::new(Controller::Cpu, &["cpu.max"], |text, counters| {
        one(&mut counters.cpu.quota, parse::cpu_max(text))
    }),
    Spec::new(Controller::Cpu, &["cpu.weight"], |text, counters| {
        one(&mut counters.cpu.weight, parse::number(text))
    }),
    Spec::new(Controller::Cpu, &["cpu.pressure"], |text, counters| {
        one(&mut counters.pressure.cpu, parse::pressure(text))
    }),
    Spec::new(Controller::Memory, &["memory.current"], |text, counters| {
        one(&mut counters.memory.usage, parse::number(text))
    }),
    Spec::new(Controller::Memory, &["memory.peak"], |text, counters| {
        one(&mut counters.memory.peak, parse::number(text))
    }),
    Spec::new(Controller::Memory, &["memory.max"], |text, counters| {
        one(&mut counters.memory.limit, parse::limit(text))
    }),
    Spec::new(Controller::Memory, &["memory.high"], |text, counters| {
        one(&mut counters.memory.high, parse::limit(text))
    }),
    Spec::new(Controller::Memory, &["memory.swap.current"], |text, counters| {
        one(&mut counters.memory.swap, parse::number(text))
    }),
    Spec::new(Controller::Memory, &["memory.events"], |text, counters| {
        memory_events(text, &mut counters.memory)
    }),
    Spec::new(Controller::Memory, &["memory.stat"], |text, counters| {
        memory_stat(text, &mut counters.memory)
    }),
    Spec::new(Controller::Memory, &["memory.pressure"], |text, counters| {
        one(&mut counters.pressure.memory, parse::pressure(text))
    }),
    Spec::new(Controller::Blkio, &["io.stat"], |text, counters| {
        parse::io_stat(text, &mut counters.io)
    }),
    Spec::new(Controller::Blkio, &["io.pressure"], |text, counters| {
        one(&mut counters.pressure.io, parse::pressure(text))
    }),
    Spec::new(Controller::Pids, &["pids.current"], |text, counters| {
        one(&mut counters.pids.current, parse::number(text))
    }),
    Spec::new(Controller::Pids, &["pids.max"], |text, counters| {
        one(&mut counters.pids.limit, parse::limit(text))
    }),
];

/// `cpu.stat`. Its first three keys are there without the cpu controller, too.
///
/// # Errors
/// [`Kind::Malformed`] when a known key has a bad value; its field is `None` then.
pub fn cpu_stat(text: &[u8], cpu: &mut Cpu) -> Outcome {
    let mut outcome = Ok(());
    let micros = |word| parse::digits(word).map(Duration::from_micros);
    for (key, word) in flat(text) {
        match key {
            b"usage_usec" => keep(&mut cpu.usage, micros(word), &mut outcome),
            b"user_usec" => keep(&mut cpu.user, micros(word), &mut outcome),
            b"system_usec" => keep(&mut cpu.system, micros(word), &mut outcome),
            b"nr_periods" => set(&mut cpu.periods, word, &mut outcome),
            b"nr_throttled" => set(&mut cpu.throttled_periods, word, &mut outcome),
            b"throttled_usec" => keep(&mut cpu.throttled, micros(word), &mut outcome),
            _ => {}
        }
    }
    outcome
}

/// `memory.stat`, in bytes and counts.
///
/// # Errors
/// [`Kind::Malformed`] when a known key has a bad value; its field is `None` then.
pub fn memory_stat(text: &[u8], memory: &mut Memory) -> Outcome {
    let mut outcome = Ok(());
    for (key, word) in flat(text) {
        let field = match key {
            b"anon" => &mut memory.anon,
            b"file" => &mut memory.file,
            b"kernel" => &mut memory.kernel,
            b"shmem" => &mut memory.shmem,
            b"file_mapped" => &mut memory.mapped_file,
            b"inactive_file" => &mut memory.inactive_file,
            b"active_file" => &mut memory.active_file,
            b"slab_reclaimable" => &mut memory.slab_reclaimable,
            b"slab_unreclaimable" => &mut memory.slab_unreclaimable,
            b"pgfault" => &mut memory.page_faults,
            b"pgmajfault" => &mut memory.major_page_faults,
            _ => continue,
        };
        set(field, word, &mut outcome);
    }
    outcome
}

/// `memory.events`, descendants included.
///
/// # Errors
/// [`Kind::Malformed`] when a known key has a bad value; its field is `None` then.
pub fn memory_events(text: &[u8], memory: &mut Memory) -> Outcome {
    let mut outcome = Ok(());
    for (key, word) in flat(text) {
        match key {
            b"max" => set(&mut memory.limit_hits, word, &mut outcome),
            b"high" => set(&mut memory.high_hits, word, &mut outcome),
            b"oom_kill" => set(&mut memory.oom_kills, word, &mut outcome),
            _ => {}
        }
    }
    outcome
}

/// Sets the one field of a file that holds one value.
fn one<T>(field: &mut Option<T>, value: Result<T, Kind>) -> Outcome {
    *field = Some(value?);
    Ok(())
}

/// Reads `text` as the file `name` into `counters`; `None` when a v2 cgroup has no such file.
pub fn parse(name: &str, text: &[u8], counters: &mut Counters) -> Option<Outcome> {
    FILES.iter().find(|spec| spec.names.contains(&name)).map(|spec| (spec.fill)(text, counters))
}

#[cfg(test)]
mod tests;
