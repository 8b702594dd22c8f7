//! Real cgroups, laid out as the kubelet does, below a subtree that is this run's own.
//!
//! They go when [`Groups`] is dropped, on a panic and on a signal ([`clean_on_signal`]); what a killed
//! run left behind goes with the next run.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, bail};
use cgroups_rs::fs::cgroup::Cgroup;
use cgroups_rs::fs::hierarchies;
use collector::pods::index::Index;
use collector::{cgroup, sampler};

use super::{files, pods};

const ROOT: &str = "/sys/fs/cgroup";
const PREFIX: &str = "podmeter-bench-";
/// Those that Podmeter reads.
const CONTROLLERS: [&str; 5] = ["memory", "cpu", "cpuacct", "pids", "blkio"];

/// A process in a network namespace of its own, with the one interface that a pod has.
const SLEEPER: &str =
    "ip link add eth0 type dummy || ip link add eth0 type bridge; echo ready; exec sleep infinity";

/// A pod's and a container's cgroup for each pod, and a sleeping process in each container.
pub(crate) struct Groups {
    subtree: String,
    sleepers: Vec<Child>,
    /// The pods.
    pub(crate) index: Arc<Index>,
}

impl Groups {
    /// Makes them for `count` pods.
    pub(crate) fn new(count: usize) -> anyhow::Result<Self> {
        let subtree = format!("/{PREFIX}{}", std::process::id());
        let mut groups = Self { subtree, sleepers: Vec::new(), index: pods::index(count) };
        (0..count).try_for_each(|number| groups.add(number))?;
        groups.wait()?;
        Ok(groups)
    }

    fn add(&mut self, number: usize) -> anyhow::Result<()> {
        let subtree = self.subtree.trim_matches('/');
        let path =
            format!("{subtree}/kubepods/burstable/pod{}/{}", pods::uid(number), pods::id(number));
        let controllers = CONTROLLERS.map(str::to_owned).to_vec();
        let cgroup =
            Cgroup::new_with_specified_controllers(hierarchies::auto(), &path, Some(controllers))
                .with_context(|| format!("cannot make the cgroup {path}"))?;
        let sleeper = Command::new("unshare")
            .args(["--net", "sh", "-c", SLEEPER])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start unshare")?;
        let id = u64::from(sleeper.id());
        self.sleepers.push(sleeper);
        cgroup.add_task_by_tgid(id.into()).with_context(|| format!("cannot move into {path}"))
    }

    /// Until every process is where its pod's interfaces are.
    fn wait(&mut self) -> anyhow::Result<()> {
        for sleeper in &mut self.sleepers {
            let mut said = [0];
            let mut output = sleeper.stdout.take().context("no pipe")?;
            if output.read(&mut said)? == 0 {
                bail!("a process cannot have a network namespace of its own");
            }
        }
        Ok(())
    }

    /// Makes a cgroup beside the pods for `name` and gives the files to write a pid to in order to join it.
    pub(crate) fn beside(&self, name: &str) -> anyhow::Result<Beside> {
        let path = format!("{}/{name}", self.subtree.trim_matches('/'));
        let controllers = CONTROLLERS.map(str::to_owned).to_vec();
        Cgroup::new_with_specified_controllers(hierarchies::auto(), &path, Some(controllers))
            .with_context(|| format!("cannot make the cgroup {path}"))?;
        Ok(Beside { path })
    }

    /// The part of the hierarchies in which they are.
    pub(crate) fn subtree(&self) -> &str {
        &self.subtree
    }

    /// How to sample them.
    pub(crate) fn config(&self) -> sampler::Config {
        config(&self.subtree)
    }
}

/// A cgroup for a program that is measured.
pub(crate) struct Beside {
    path: String,
}

impl Beside {
    /// Starts a program in it, so that nothing that it uses is missed.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("sh");
        let join = "for file in $FILES; do echo $$ > $file; done; unset FILES; exec \"$@\"";
        let files = CONTROLLERS.map(|name| format!("{ROOT}/{name}/{}/cgroup.procs", self.path));
        command.env_clear().env("FILES", files.join(" ")).env("PATH", "/usr/bin:/bin");
        command.args(["-c", join, "sh"]).arg(program).stdin(Stdio::null());
        command
    }

    /// The number in one of its files.
    pub(crate) fn number(&self, controller: &str, file: &str) -> anyhow::Result<u64> {
        let path = format!("{ROOT}/{controller}/{}/{file}", self.path);
        let text = fs::read_to_string(&path).with_context(|| path.clone())?;
        text.trim().parse().with_context(|| path)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for sleeper in &mut self.sleepers {
            let _ = sleeper.kill();
            let _ = sleeper.wait();
        }
        if let Err(error) = remove(std::process::id()) {
            eprintln!("some cgroups of this run are left: {error}");
        }
    }
}

/// How to sample a subtree of the real cgroups.
pub(crate) fn config(subtree: &str) -> sampler::Config {
    sampler::Config {
        cgroup: cgroup::Config {
            root: ROOT.into(),
            mountinfo: "/proc/self/mountinfo".into(),
            subtree: subtree.to_owned(),
        },
        proc: "/proc".into(),
        join: files::join(),
    }
}

/// Why there can be no real cgroups here; `None` when there can.
pub(crate) fn obstacle() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("not root: no cgroups can be made".to_owned());
    }
    if hierarchies::auto().v2() {
        // Its controllers would have to be handed down from the root, which belongs to the machine.
        return Some("cgroups of version 2: making them is not supported here".to_owned());
    }
    None
}

/// Removes what runs that are no more have left.
pub(crate) fn remove_leftovers() -> io::Result<()> {
    for path in subtrees()? {
        let owner =
            path.file_name().and_then(|name| name.to_str()?.strip_prefix(PREFIX)?.parse().ok());
        if let Some(owner) = owner.filter(|owner| !Path::new(&format!("/proc/{owner}")).exists()) {
            remove(owner)?;
        }
    }
    Ok(())
}

/// Removes this run's cgroups when it is told to stop, and ends it.
pub(crate) fn clean_on_signal() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = (
                signal(SignalKind::interrupt()),
                signal(SignalKind::terminate()),
                signal(SignalKind::hangup()),
            ) else {
                return;
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        });
        let _ = remove(std::process::id());
        #[expect(clippy::disallowed_methods, reason = "the main thread may be anywhere")]
        std::process::exit(130);
    })?;
    Ok(())
}

/// This run's or another's subtree in every hierarchy.
fn subtrees() -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for hierarchy in fs::read_dir(ROOT)? {
        let path = hierarchy?.path();
        for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)) {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// Ends every process in the cgroups of run `owner` and removes them.
fn remove(owner: u32) -> io::Result<()> {
    let name = format!("{PREFIX}{owner}");
    subtrees()?.into_iter().filter(|path| path.ends_with(&name)).try_for_each(|path| empty(&path))
}

fn empty(directory: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            empty(&entry.path())?;
        }
    }
    // An ended process stays in its cgroup for a moment.
    for _ in 0..200 {
        let procs = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
        for pid in procs.lines().filter_map(|line| line.parse().ok()) {
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        match fs::remove_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            // Two names of one hierarchy: `cpu` is a link to `cpu,cpuacct` on many machines.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            done => return done,
        }
    }
    fs::remove_dir(directory)
}
