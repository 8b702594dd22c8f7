//! What the kernel itself says about a container, read by the suite with the simplest means.
//!
//! cgroup v1 with the cgroupfs driver: `<controller>/kubepods/[<class>/]pod<uid>/<id>`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the controllers are.
const ROOT: &str = "/sys/fs/cgroup";
/// The classes' folders; guaranteed pods have none.
const CLASSES: [&str; 3] = ["burstable", "besteffort", "."];

/// A container's cgroups.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    /// How the pod's folder names it: the uid, or a static pod's hash.
    pub(crate) pod: String,
    /// The runtime's id.
    pub(crate) id: String,
}

/// Byte and packet counters of an interface, in the order of `/proc/net/dev`.
pub(crate) type Interface = [u64; 16];

impl Container {
    /// The folder under a controller.
    pub(crate) fn folder(&self, controller: &str) -> PathBuf {
        pod_folder(controller, &self.pod)
            .map(|pod| pod.join(&self.id))
            .filter(|folder| folder.is_dir())
            .unwrap_or_else(|| panic!("{self:?} has no cgroup under {controller}"))
    }

    /// The text of a file.
    pub(crate) fn text(&self, controller: &str, file: &str) -> String {
        let path = self.folder(controller).join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A file that is one number.
    pub(crate) fn number(&self, controller: &str, file: &str) -> f64 {
        self.text(controller, file).trim().parse().expect("a number")
    }

    /// A number in a file of `key number` lines.
    pub(crate) fn stat(&self, controller: &str, file: &str, key: &str) -> f64 {
        let text = self.text(controller, file);
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let value = lines.filter(|(name, _)| *name == key).map(|(_, value)| value).next();
        value.unwrap_or_else(|| panic!("no {key} in {file}")).parse().expect("a number")
    }

    /// A process in it.
    pub(crate) fn pid(&self) -> u32 {
        let text = self.text("memory", "cgroup.procs");
        text.lines().next().and_then(|line| line.parse().ok()).expect("a process runs in it")
    }

    /// Makes a file inside the container, which its script waits for.
    pub(crate) fn touch(&self, path: &str) {
        let file = format!("/proc/{}/root{path}", self.pid());
        fs::write(&file, "").unwrap_or_else(|error| panic!("{file}: {error}"));
    }

    /// Whether there is a file inside the container.
    pub(crate) fn has(&self, path: &str) -> bool {
        Path::new(&format!("/proc/{}/root{path}", self.pid())).exists()
    }

    /// The interfaces of its network namespace but the loopback.
    pub(crate) fn interfaces(&self) -> BTreeMap<String, Interface> {
        let text = fs::read_to_string(format!("/proc/{}/net/dev", self.pid())).expect("it runs");
        let lines = text.lines().skip(2).filter_map(|line| line.split_once(':'));
        let numbers = |text: &str| -> Vec<u64> {
            text.split_whitespace().map(|word| word.parse().expect("a number")).collect()
        };
        lines
            .map(|(name, rest)| {
                (name.trim().to_owned(), numbers(rest).try_into().expect("16 columns"))
            })
            .filter(|(name, _)| name != "lo")
            .collect()
    }
}

/// A pod's folder under a controller, if it is there.
pub(crate) fn pod_folder(controller: &str, pod: &str) -> Option<PathBuf> {
    let root = Path::new(ROOT).join(controller).join("kubepods");
    let folders = CLASSES.iter().map(|class| root.join(class).join(format!("pod{pod}")));
    folders.into_iter().find(|folder| folder.is_dir())
}
