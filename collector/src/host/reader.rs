//! Keeps the node's `/proc` files open and reads them once a tick.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Counters, CpuModes, filesystems, parse};
use crate::cgroup::file::{self, Buffer, End, Kept};
use crate::cgroup::parse::{Outcome, pressure};
use crate::faults::{Kind, ReadErrors, Source};
use crate::network::dev;

/// Most interfaces kept of the node.
const MAX_INTERFACES: usize = 64;

/// How often file systems are asked for their size: it changes slowly and may wait for a disk.
const FILESYSTEMS_EVERY: Duration = Duration::from_secs(60);

/// The first line of `/proc/stat` is well within this.
const CPU_LINE: usize = 512;

/// How often `/proc/stat` is read to its end: it has a line per CPU and a number per interrupt, and
/// what is wanted there hardly ever changes.
const WHOLE_STAT_EVERY: u32 = 32;

/// The kernel's idle and iowait times go back a little at times, when a CPU wakes up elsewhere. What goes
/// back further than this was counted anew.
const GLITCH: Duration = Duration::from_secs(10);

/// Reads the node's counters.
#[derive(Debug)]
pub struct Reader {
    proc: OwnedFd,
    rootfs: PathBuf,
    files: [Kept; FILES.len()],
    stat: Kept,
    ticks: u32,
    measured: Option<Instant>,
    buffer: Buffer,
    counters: Counters,
    /// CPU times as they were told last.
    told: CpuModes,
}

struct File {
    /// Names below `/proc` to try, the best first.
    names: &'static [&'static std::ffi::CStr],
    fill: fn(&[u8], &mut Counters) -> Outcome,
}

const INTERFACES: &[&std::ffi::CStr] = &[c"1/net/dev", c"net/dev"];

const FILES: [File; 7] = [
    File {
        names: &[c"meminfo"],
        fill: |text, counters| one(&mut counters.memory, parse::meminfo(text)),
    },
    File {
        names: &[c"loadavg"],
        fill: |text, counters| one(&mut counters.load, parse::loadavg(text)),
    },
    File {
        names: &[c"pressure/cpu"],
        fill: |text, counters| one(&mut counters.pressure.cpu, pressure(text)),
    },
    File {
        names: &[c"pressure/memory"],
        fill: |text, counters| one(&mut counters.pressure.memory, pressure(text)),
    },
    File {
        names: &[c"pressure/io"],
        fill: |text, counters| one(&mut counters.pressure.io, pressure(text)),
    },
    File {
        names: &[c"vmstat"],
        fill: |text, counters| parse::oom_kills(text, &mut counters.oom_kills),
    },
    File {
        // In a container `net` is the container's own; process 1 of the host's /proc is the node's.
        names: INTERFACES,
        fill: |text, counters| {
            dev::parse(text, parse::is_node_interface, MAX_INTERFACES, &mut counters.interfaces)
        },
    },
];

fn one<T>(field: &mut Option<T>, value: Result<T, Kind>) -> Outcome {
    *field = Some(value?);
    Ok(())
}

impl Reader {
    /// Reads below `proc`, the host's `/proc`; `rootfs` is where the host's `/` is mounted, for the sizes
    /// of its file systems.
    ///
    /// # Errors
    /// When `proc` is not there.
    pub fn open(proc: &Path, rootfs: &Path) -> io::Result<Self> {
        Ok(Self {
            proc: std::fs::File::open(proc)?.into(),
            rootfs: rootfs.to_owned(),
            files: Default::default(),
            stat: Kept::default(),
            ticks: 0,
            measured: None,
            buffer: Buffer::default(),
            counters: Counters::default(),
            told: CpuModes::default(),
        })
    }

    /// Reads all.
    pub fn tick(&mut self, errors: &mut ReadErrors) {
        self.tick_at(Instant::now(), errors);
    }

    /// What the last tick read.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn tick_at(&mut self, now: Instant, errors: &mut ReadErrors) {
        self.clear();
        if let Err(kind) = self.read_stat() {
            errors.add(Source::Host, kind);
        }
        for at in 0..FILES.len() {
            if let Err(kind) = self.read_file(at) {
                errors.add(Source::Host, kind);
            }
        }
        if self.measured.is_none_or(|last| now.duration_since(last) >= FILESYSTEMS_EVERY) {
            self.measured = Some(now);
            if let Err(kind) = self.measure() {
                errors.add(Source::Host, kind);
            }
        }
        self.ticks = self.ticks.wrapping_add(1);
    }

    /// Sets what each tick reads to `None`; the lists are filled in place.
    fn clear(&mut self) {
        let counters = &mut self.counters;
        counters.cpu = None;
        counters.memory = None;
        counters.load = None;
        counters.pressure = crate::cgroup::Pressure::default();
        counters.oom_kills = None;
    }

    fn read_stat(&mut self) -> Outcome {
        if self.stat.file().is_none() && file::is_due(self.ticks) {
            self.stat.open(&self.proc, c"stat").map_err(|error| Kind::of(&error))?;
        }
        let Some(file) = self.stat.file() else { return Ok(()) };
        if !self.ticks.is_multiple_of(WHOLE_STAT_EVERY) {
            let text = self.buffer.read_start(file, CPU_LINE).map_err(|error| Kind::of(&error))?;
            let cpu = parse::cpu(text);
            return self.tell(cpu);
        }
        let text = self.buffer.read(file, End::EmptyRead).map_err(|error| Kind::of(&error))?;
        let (cpus, booted) = parse::cpus_and_boot(text.bytes);
        self.counters.cpus = (cpus > 0).then_some(cpus);
        let (cpu, is_cut) = (parse::cpu(text.bytes), text.is_cut);
        self.tell(cpu)?;
        self.counters.booted = booted?;
        if is_cut { Err(Kind::Bounded) } else { Ok(()) }
    }

    /// Tells CPU times that do not go back. Source: proc(5), `/proc/stat` on iowait.
    fn tell(&mut self, cpu: Result<CpuModes, Kind>) -> Outcome {
        let mut cpu = cpu?;
        let told = &self.told;
        for (now, before) in [
            (&mut cpu.user, told.user),
            (&mut cpu.nice, told.nice),
            (&mut cpu.system, told.system),
            (&mut cpu.idle, told.idle),
            (&mut cpu.iowait, told.iowait),
            (&mut cpu.irq, told.irq),
            (&mut cpu.softirq, told.softirq),
            (&mut cpu.steal, told.steal),
        ] {
            if before.saturating_sub(*now) < GLITCH {
                *now = before.max(*now);
            }
        }
        self.told = cpu;
        self.counters.cpu = Some(cpu);
        Ok(())
    }

    fn read_file(&mut self, at: usize) -> Outcome {
        let (spec, kept) = (&FILES[at], &mut self.files[at]);
        if kept.file().is_none() && file::is_due(self.ticks) {
            for name in spec.names {
                // The next name may do where this one is hidden.
                let opened = kept.open(&self.proc, name);
                if kept.file().is_some() {
                    break;
                }
                if spec.names.last() == Some(name) {
                    opened.map_err(|error| Kind::of(&error))?;
                }
            }
        }
        let Some(file) = kept.file() else { return Ok(()) };
        match self.buffer.read(file, End::EmptyRead) {
            Ok(text) => {
                (spec.fill)(text.bytes, &mut self.counters)?;
                if text.is_cut { Err(Kind::Bounded) } else { Ok(()) }
            }
            Err(error) => {
                kept.close();
                if spec.names == INTERFACES {
                    self.counters.interfaces.clear();
                }
                if file::is_unsupported(&error) { Ok(()) } else { Err(Kind::of(&error)) }
            }
        }
    }

    fn measure(&mut self) -> Outcome {
        let open = |name| file::open(&self.proc, name);
        let table = open(c"1/mountinfo").or_else(|_| open(c"self/mountinfo"));
        let mut text = Vec::new();
        let read = table.and_then(|table| {
            io::Read::read_to_end(
                &mut io::Read::take(std::fs::File::from(table), MAX_TABLE),
                &mut text,
            )
        });
        self.counters.filesystems.clear();
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read.map_err(|error| Kind::of(&error))?,
        };
        let mounts = filesystems::parse(&text);
        let measured = mounts.iter().filter_map(|mount| filesystems::measure(mount, &self.rootfs));
        self.counters.filesystems.extend(measured.take(filesystems::MAX_FILESYSTEMS));
        if mounts.len() > filesystems::MAX_FILESYSTEMS { Err(Kind::Bounded) } else { Ok(()) }
    }
}

/// Longest mount table read: a node with 250 pods has about 3,000 lines of 200 bytes.
const MAX_TABLE: u64 = 8 * 1024 * 1024;

#[cfg(test)]
mod tests;
