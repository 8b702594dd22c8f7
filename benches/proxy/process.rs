//! A program under measurement: started in a process group of its own, read through `/proc`, ended with its group.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::plan::THREADS;

/// How long a program may take until it listens.
const START: Duration = Duration::from_secs(20);
/// How long it may take to end.
const END: Duration = Duration::from_secs(2);
/// Between two looks at the memory.
const LOOK: Duration = Duration::from_millis(250);

/// A running program and whatever it has started.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Pid,
    log: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Politely first, so that a master takes leave of its workers; who outlives that is killed with its group.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + END;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts it and waits until it listens on all of `addresses`. What it says goes to a file in `directory`.
    pub(crate) fn start(
        name: &str,
        mut command: Command,
        directory: &Path,
        addresses: &[SocketAddr],
    ) -> anyhow::Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let file = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let group = Pid::from_child(&child);
        let mut process = Self { child, group, log };
        process.wait(addresses).with_context(|| format!("{name} does not start"))?;
        Ok(process)
    }

    fn wait(&mut self, addresses: &[SocketAddr]) -> anyhow::Result<()> {
        let deadline = Instant::now() + START;
        while !addresses.iter().all(|address| TcpStream::connect(address).is_ok()) {
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}; its last words:\n{}", self.last_words());
            }
            if Instant::now() > deadline {
                bail!("not listening after {START:?}; its last words:\n{}", self.last_words());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    /// All processes of its group, in the order in which they were started.
    pub(crate) fn members(&self) -> anyhow::Result<Vec<u32>> {
        let mut members = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // It may have ended since.
            if stat(pid).is_ok_and(|stat| stat.group == self.child.id()) {
                members.push(pid);
            }
        }
        members.sort_unstable();
        Ok(members)
    }

    /// CPU seconds so far, of all.
    pub(crate) fn cpu(&self) -> anyhow::Result<f64> {
        let second = rustix::param::clock_ticks_per_second() as f64;
        self.members()?.into_iter().map(|pid| Ok(stat(pid)?.ticks as f64 / second)).sum()
    }
}

/// What is of interest in `/proc/<pid>/stat`.
struct Stat {
    group: u32,
    /// In user and kernel mode, ended threads included.
    ticks: u64,
}

fn stat(pid: u32) -> anyhow::Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may hold blanks and parentheses, and nothing after it does.
    let (_, rest) = text.rsplit_once(") ").context("no name")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let [_, _, group, .., _] = fields[..] else { bail!("too short") };
    let ticks = fields.get(11..13).context("too short")?;
    Ok(Stat { group: group.parse()?, ticks: ticks[0].parse::<u64>()? + ticks[1].parse::<u64>()? })
}

/// MiB resident of all `members`, pages that several share counted once.
fn memory(members: &[u32]) -> Option<f64> {
    let kib = |pid: &u32| -> Option<f64> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
            .or_else(|_| fs::read_to_string(format!("/proc/{pid}/status")))
            .ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("Pss:").or_else(|| line.strip_prefix("VmRSS:")))?;
        line.split_whitespace().next()?.parse().ok()
    };
    members.iter().map(kib).sum::<Option<f64>>().map(|kib| kib / 1024.0)
}

/// Looks at a program's memory from time to time.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<f64>,
}

impl Watch {
    /// From now on.
    pub(crate) fn start(process: &Process) -> anyhow::Result<Self> {
        let (members, stop) = (process.members()?, Arc::new(AtomicBool::new(false)));
        let flag = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("memory".to_owned()).spawn(move || {
            let mut peak = 0.0_f64;
            loop {
                let is_last = flag.load(Ordering::Relaxed);
                peak = peak.max(memory(&members).unwrap_or_default());
                if is_last {
                    return peak;
                }
                std::thread::park_timeout(LOOK);
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// The most that was seen, in MiB.
    pub(crate) fn peak(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        self.thread.join().unwrap_or(f64::NAN)
    }
}

/// Does `start` so that what it starts runs on the first two cores only, whatever the machine has.
pub(crate) fn on_two_cores<T>(start: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let all = sched_getaffinity(None)?;
    let mut two = CpuSet::new();
    (0..CpuSet::MAX_CPU)
        .filter(|core| all.is_set(*core))
        .take(THREADS)
        .for_each(|core| two.set(core));
    sched_setaffinity(None, &two)?;
    let started = start();
    sched_setaffinity(None, &all)?;
    started
}

/// An address of this machine that nobody listens on now.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
