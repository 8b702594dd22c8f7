//! The demo's own cgroups, laid out as the kubelet does, and their removal in every way of ending.
//!
//! All of them lie below one directory of each hierarchy, [`Tree::subtree`], so that nothing else on the
//! machine is touched and the reader can be limited to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use cgroups_rs::CgroupPid;
use cgroups_rs::fs::cpu::CpuController;
use cgroups_rs::fs::hierarchies::{V1, V2, is_cgroup2_unified_mode};
use cgroups_rs::fs::memory::MemController;
use cgroups_rs::fs::{Cgroup, Controllers, Hierarchy};
use rustix::process::{Pid, Signal, kill_process};
use tracing::{debug, warn};

const PREFIX: &str = "podmeter-demo-";
/// The kubelet's CPU bandwidth period, in microseconds.
const PERIOD: u64 = 100_000;
/// Processes end within milliseconds of their signal; a busy machine gets more time.
const REMOVAL: Duration = Duration::from_secs(5);

/// The demo's part of every hierarchy. Dropping it ends what runs there and removes it.
#[derive(Debug)]
pub struct Tree {
    name: String,
}

impl Tree {
    /// Makes the directories above the pods; what dead demos left behind is removed first.
    ///
    /// # Errors
    /// When this process may not make cgroups, or has no cpu and memory controllers to give them.
    pub fn make() -> anyhow::Result<Self> {
        remove_stale();
        // From here on the directories go when the value does, an early return included.
        let tree = Self { name: format!("{PREFIX}{}", std::process::id()) };
        let probe = tree.cgroup("kubepods/burstable/probe").context("cannot make cgroups")?;
        if !has_limits(&probe) {
            bail!(
                "cannot make cgroups with CPU and memory limits: the controllers are not enabled for them"
            );
        }
        probe.delete().context("cannot remove a cgroup")?;
        Ok(tree)
    }

    /// Where the reader should look, in every hierarchy.
    #[must_use]
    pub fn subtree(&self) -> String {
        format!("/{}", self.name)
    }

    /// Makes the cgroup at `path` below the subtree.
    ///
    /// # Errors
    /// When a controller refuses.
    pub fn cgroup(&self, path: &str) -> anyhow::Result<Cgroup> {
        let names = if is_cgroup2_unified_mode() {
            &["cpu", "memory", "pids", "io"][..]
        } else {
            &["cpu", "cpuacct", "memory", "pids", "blkio"]
        };
        let names: Vec<String> =
            names.iter().filter(|name| has_controller(name)).map(|&name| name.to_owned()).collect();
        Ok(Cgroup::new_with_specified_controllers(
            hierarchy(),
            Path::new(&self.name).join(path),
            Some(names),
        )?)
    }

    /// Processes that the OOM killer killed in the cgroup at `path`.
    #[must_use]
    pub fn oom_kills(&self, path: &str) -> u64 {
        // v1 `memory.oom_control`, v2 `memory.events`: both have a line `oom_kill <n>`.
        let files = roots().into_iter().flat_map(|root| {
            let cgroup = root.join(&self.name).join(path);
            [cgroup.join("memory.oom_control"), cgroup.join("memory.events")]
        });
        let counts = files.filter_map(|file| {
            let text = fs::read_to_string(file).ok()?;
            text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse::<u64>().ok())
        });
        counts.sum()
    }

    /// Removes the cgroup at `path` and those below it from every hierarchy; whatever runs there is killed.
    pub fn remove(&self, path: &str) {
        let deadline = Instant::now() + REMOVAL;
        for root in roots() {
            let path = root.join(&self.name).join(path);
            while let Err(error) = end(&path) {
                if Instant::now() > deadline {
                    warn!(path = %path.display(), %error, "cannot remove a cgroup of the demo");
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.remove("");
    }
}

/// Sets what a spec's requests (millicores) and limits (millicores, bytes; 0 for none) mean to the kernel.
///
/// # Errors
/// When the kernel refuses a value.
pub fn limit(cgroup: &Cgroup, request: u64, (cpu, memory): (u64, u64)) -> anyhow::Result<()> {
    let shares = (request * 1024 / 1000).max(2);
    if let Some(controller) = cgroup.controller_of::<CpuController>() {
        // Runtimes convert shares to weights by a formula; the one of KEP-2254 serves here.
        let weight = 1 + ((shares - 2) * 9999) / 262_142;
        controller.set_shares(if cgroup.v2() { weight } else { shares })?;
        if cpu > 0 {
            controller.set_cfs_quota_and_period(
                Some(i64::try_from(cpu * PERIOD / 1000)?),
                Some(PERIOD),
            )?;
        }
    }
    if let Some(controller) = cgroup.controller_of::<MemController>()
        && memory > 0
    {
        let memory = i64::try_from(memory)?;
        controller.set_limit(memory)?;
        // Without this a machine with swap would let the drifting process grow on; not every kernel counts swap.
        if let Err(error) = controller.set_memswap_limit(if cgroup.v2() { 0 } else { memory }) {
            debug!(%error, "swap is not limited");
        }
    }
    Ok(())
}

/// Moves a process with all its threads.
///
/// # Errors
/// When the process or the cgroup is gone.
pub fn enter(cgroup: &Cgroup, process: u32) -> anyhow::Result<()> {
    cgroup
        .add_task_by_tgid(CgroupPid::from(u64::from(process)))
        .context("cannot move a process into its cgroup")
}

/// A random UUID, from the kernel.
#[must_use]
pub fn uuid() -> String {
    let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid");
    uuid.map_or_else(
        |_| "00000000-0000-4000-8000-000000000000".to_owned(),
        |uuid| uuid.trim().to_owned(),
    )
}

/// A container's id: 64 random hex digits.
#[must_use]
pub fn container_id() -> String {
    format!("{}{}", uuid(), uuid()).replace('-', "")
}

fn hierarchy() -> Box<dyn Hierarchy> {
    if is_cgroup2_unified_mode() { Box::new(V2::new()) } else { Box::new(V1::new()) }
}

/// The mounted hierarchies that the demo uses.
fn roots() -> Vec<PathBuf> {
    if is_cgroup2_unified_mode() {
        return vec![V2::new().root()];
    }
    let v1 = V1::new();
    let used = [
        Controllers::Cpu,
        Controllers::CpuAcct,
        Controllers::Mem,
        Controllers::Pids,
        Controllers::BlkIo,
    ];
    let mut roots: Vec<_> =
        used.into_iter().filter_map(|controller| Some(v1.get_mount_point(controller)?.0)).collect();
    roots.sort();
    roots.dedup();
    roots
}

fn has_controller(name: &str) -> bool {
    if !is_cgroup2_unified_mode() {
        return true;
    }
    let known = fs::read_to_string(V2::new().root().join("cgroup.controllers")).unwrap_or_default();
    known.split_whitespace().any(|known| known == name)
}

fn has_limits(cgroup: &Cgroup) -> bool {
    let cpu = cgroup.controller_of::<CpuController>().is_some_and(|cpu| cpu.cfs_period().is_ok());
    cpu && cgroup
        .controller_of::<MemController>()
        .is_some_and(|memory| memory.set_limit(-1).is_ok())
}

/// Removes what demos left that were killed without a chance to.
fn remove_stale() {
    for root in roots() {
        for entry in fs::read_dir(&root).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let dead =
                name.strip_prefix(PREFIX).is_some_and(|pid| !Path::new("/proc").join(pid).exists());
            // Its maker may live in another pid namespace: what still runs is not ours to end.
            if dead && !is_populated(&entry.path()) {
                debug!(%name, "removing what a dead demo left");
                let _ = end(&entry.path());
            }
        }
    }
}

fn is_populated(path: &Path) -> bool {
    let processes = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    !processes.is_empty() || children(path).iter().any(|child| is_populated(child))
}

/// Kills what runs at `path` and below, and removes it. Fails while something is still ending.
fn end(path: &Path) -> io::Result<()> {
    for child in children(path) {
        end(&child)?;
    }
    let processes = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    for pid in processes.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)) {
        let _ = kill_process(pid, Signal::KILL);
    }
    match fs::remove_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn children(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}
