//! Cgroups of the suites' own on this machine's kernel, laid out as the kubelet does.
//!
//! Made with `mkdir` and read with plain file reads: nothing of what is under test helps here. Everything
//! lies below one directory of each hierarchy and is removed with its [`Tree`], failed tests included.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const ROOT: &str = "/sys/fs/cgroup";
const PREFIX: &str = "podmeter-kernel-";
/// Processes end within milliseconds of their signal; a busy machine gets more time.
const REMOVAL: Duration = Duration::from_secs(30);

/// Which interface this machine's kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// One hierarchy for each controller.
    V1,
    /// One hierarchy for all.
    V2,
}

/// Which interface this machine's kernel has; a hybrid machine counts as v1, since its controllers are there.
#[must_use]
pub(crate) fn version() -> Version {
    if Path::new(ROOT).join("cgroup.controllers").exists() { Version::V2 } else { Version::V1 }
}

/// Why cgroups cannot be made here; `None` when they can.
#[must_use]
pub(crate) fn obstacle() -> Option<String> {
    remove_stale();
    for root in roots() {
        let probe = root.join(format!("{PREFIX}{}-probe", std::process::id()));
        if let Err(error) = fs::create_dir(&probe).and_then(|()| fs::remove_dir(&probe)) {
            return Some(format!("cannot make cgroups below {}: {error}", root.display()));
        }
    }
    if version() == Version::V2 {
        let known =
            fs::read_to_string(Path::new(ROOT).join("cgroup.controllers")).unwrap_or_default();
        let missing = ["cpu", "memory", "io", "pids"]
            .into_iter()
            .find(|name| known.split_whitespace().all(|known| known != *name));
        return missing.map(|name| format!("the kernel has no {name} controller"));
    }
    None
}

/// One test's part of every hierarchy. Dropping it kills what runs there and removes it.
#[derive(Debug)]
pub(crate) struct Tree {
    name: String,
}

/// A cgroup, in every hierarchy.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    path: String,
}

/// A container's cgroup and what its series are labelled with while its pod has no name.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    /// The cgroup.
    pub(crate) group: Group,
    /// Its pod's.
    pub(crate) pod: Group,
    /// Uid of its pod.
    pub(crate) uid: String,
    /// The runtime's id, 64 digits.
    pub(crate) id: String,
}

impl Tree {
    /// An empty one, in every hierarchy.
    ///
    /// # Panics
    /// When the kernel refuses.
    #[must_use]
    pub(crate) fn make() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let tree = Self { name: format!("{PREFIX}{}-{number}", std::process::id()) };
        let _ = tree.group("kubepods/burstable");
        tree
    }

    /// Its path, as podmeter's key `cgroup.subtree` wants it.
    #[must_use]
    pub(crate) fn subtree(&self) -> String {
        format!("/{}", self.name)
    }

    /// The cgroup at `path` below, made if it is not there.
    ///
    /// # Panics
    /// When the kernel refuses.
    #[must_use = "to be filled"]
    pub(crate) fn group(&self, path: &str) -> Group {
        let group = Group { path: format!("{}/{path}", self.name) };
        group.make();
        group
    }

    /// A container in a burstable pod of its own, cgroupfs style.
    ///
    /// # Panics
    /// When the kernel refuses.
    #[must_use]
    pub(crate) fn container(&self) -> Container {
        self.container_of(&uuid())
    }

    /// A container in the burstable pod `uid`, cgroupfs style.
    ///
    /// # Panics
    /// When the kernel refuses.
    #[must_use]
    pub(crate) fn container_of(&self, uid: &str) -> Container {
        let id = container_id();
        let group = self.group(&format!("kubepods/burstable/pod{uid}/{id}"));
        Container { pod: group.parent(), group, uid: uid.to_owned(), id }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        Group { path: self.name.clone() }.remove();
    }
}

impl Group {
    /// Path below a hierarchy's root, with a leading `/`.
    #[must_use]
    pub(crate) fn path(&self) -> String {
        format!("/{}", self.path)
    }

    /// The cgroup that it lies in.
    #[must_use]
    pub(crate) fn parent(&self) -> Self {
        let (parent, _) = self.path.rsplit_once('/').unwrap_or_default();
        Self { path: parent.to_owned() }
    }

    /// Makes its directories, again if they were removed.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub(crate) fn make(&self) {
        for root in roots() {
            let mut directory = root;
            for part in Path::new(&self.path) {
                if version() == Version::V2 {
                    // One by one: the kernel takes all of a line or nothing. A cgroup with processes refuses.
                    for name in ["+cpu", "+memory", "+io", "+pids"] {
                        let _ = fs::write(directory.join("cgroup.subtree_control"), name);
                    }
                }
                directory.push(part);
                match fs::create_dir(&directory) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                        panic!("cannot make {}: {error}", directory.display())
                    }
                    _ => {}
                }
            }
        }
    }

    /// Where the kernel has the file.
    #[must_use]
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        let controller = match version() {
            Version::V2 => "",
            Version::V1 => name.split_once('.').map_or(name, |(controller, _)| controller),
        };
        Path::new(ROOT).join(controller).join(&self.path).join(name)
    }

    /// What the file says; `None` when there is no such file.
    #[must_use]
    pub(crate) fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.file(name)).ok()
    }

    /// The number that the file holds.
    #[must_use]
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.read(name)?.trim().parse().ok()
    }

    /// The number behind `key` in a file of lines `key number`.
    #[must_use]
    pub(crate) fn key(&self, name: &str, key: &str) -> Option<u64> {
        let text = self.read(name)?;
        text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok())
    }

    /// Sets a limit.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub(crate) fn write(&self, name: &str, text: impl Display) {
        let file = self.file(name);
        fs::write(&file, text.to_string())
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
    }

    /// Limits memory, without a way out into swap.
    pub(crate) fn limit_memory(&self, bytes: u64) {
        let (memory, swap, most) = match version() {
            Version::V1 => ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", bytes),
            Version::V2 => ("memory.max", "memory.swap.max", 0),
        };
        self.write(memory, bytes);
        // Only where there is swap: with this limit v1 counts no hits of the other any more.
        let has_swap = fs::read_to_string("/proc/swaps").is_ok_and(|text| text.lines().count() > 1);
        if has_swap && self.file(swap).exists() {
            self.write(swap, most);
        }
    }

    /// Limits the CPU time in each 100 ms.
    pub(crate) fn limit_cpu(&self, quota: Duration) {
        match version() {
            Version::V1 => {
                self.write("cpu.cfs_period_us", 100_000);
                self.write("cpu.cfs_quota_us", quota.as_micros());
            }
            Version::V2 => self.write("cpu.max", format!("{} 100000", quota.as_micros())),
        }
    }

    /// Moves a process in.
    ///
    /// # Panics
    /// When it or the cgroup is gone.
    pub(crate) fn enter(&self, pid: u32) {
        for root in roots() {
            let file = root.join(&self.path).join("cgroup.procs");
            fs::write(&file, pid.to_string())
                .unwrap_or_else(|error| panic!("cannot write {}: {error}", file.display()));
        }
    }

    /// Kills what runs in it and below, and removes it from every hierarchy.
    ///
    /// # Panics
    /// When that takes too long, unless a test is failing anyway.
    pub(crate) fn remove(&self) {
        let deadline = Instant::now() + REMOVAL;
        for root in roots() {
            let path = root.join(&self.path);
            while let Err(error) = end(&path) {
                let late = Instant::now() > deadline;
                assert!(!late || thread::panicking(), "cannot remove {}: {error}", path.display());
                if late {
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

impl Container {
    /// The labels of its series while its pod has no name.
    #[must_use]
    pub(crate) fn labels(&self) -> [(&str, &str); 2] {
        [("uid", &self.uid), ("container_id", &self.id[..12])]
    }
}

/// A random UUID, from the kernel.
///
/// # Panics
/// Without `/proc`.
#[must_use]
pub(crate) fn uuid() -> String {
    fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap().trim().to_owned()
}

/// A container's id: 64 random hex digits.
#[must_use]
pub(crate) fn container_id() -> String {
    format!("{}{}", uuid(), uuid()).replace('-', "")
}

/// The mounted hierarchies; controllers mounted together are named by links, so one may be named twice.
fn roots() -> Vec<PathBuf> {
    match version() {
        Version::V2 => vec![ROOT.into()],
        Version::V1 => ["memory", "cpuacct", "cpu", "pids", "blkio"]
            .into_iter()
            .map(|name| Path::new(ROOT).join(name))
            .filter(|path| path.exists())
            .collect(),
    }
}

/// Removes what suites left that were killed without a chance to.
fn remove_stale() {
    for root in roots() {
        for path in children(&root) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
            let is_dead = maker.is_some_and(|pid| !Path::new("/proc").join(pid).exists());
            // Its maker may live in another pid namespace: what still runs is not ours to end.
            if is_dead && !is_populated(&path) {
                let _ = end(&path);
            }
        }
    }
}

fn is_populated(path: &Path) -> bool {
    let processes = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    !processes.is_empty() || children(path).iter().any(|child| is_populated(child))
}

/// Fails while something is still ending.
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
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).collect()
}
