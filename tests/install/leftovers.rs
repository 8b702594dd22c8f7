//! What an installation left behind: objects of any kind, and traces on the node.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::install::release::{Release, SOON};

/// Between two looks: each asks for all kinds of objects.
const PAUSE: Duration = Duration::from_secs(1);

/// Waits until nothing in the cluster bears its name.
pub(crate) fn none_in_the_cluster(release: &Release<'_>) {
    let tool = release.tool();
    let kinds = tool.kubectl(&["api-resources", "--verbs=list", "-o", "name"]);
    // Events on objects that are gone stay until the API server forgets them.
    let kinds: Vec<&str> = kinds.lines().filter(|kind| !kind.starts_with("events")).collect();
    let kinds = kinds.join(",");
    until_none("the cluster", || {
        let all = tool.kubectl(&["get", &kinds, "-A", "-o", "name"]);
        let of_it = all.lines().filter(|line| line.contains(&release.name));
        // The namespace is the case's.
        of_it.filter(|line| !line.starts_with("namespace/")).map(str::to_owned).collect()
    });
}

/// Waits until the node has nothing of this pod: no cgroup, no folder of the kubelet, no mount, no firewall rule.
pub(crate) fn none_on_the_node(release: &Release<'_>, uid: &str, address: &str) {
    let kubelet = release.tool().dir.join("kubelet/pods").join(uid);
    until_none("the node", || {
        let mut left = Vec::new();
        cgroups(Path::new("/sys/fs/cgroup"), uid, 5, &mut left);
        if kubelet.exists() {
            left.push(kubelet.display().to_string());
        }
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
        left.extend(mounts.lines().filter(|line| line.contains(uid)).map(str::to_owned));
        left.extend(rules(address));
        left
    });
}

/// The firewall's rules that name an address.
pub(crate) fn rules(address: &str) -> Vec<String> {
    let rules = Command::new("iptables-save").output().expect("iptables-save runs");
    let rules = String::from_utf8_lossy(&rules.stdout).into_owned();
    let names = |line: &&str| line.split([' ', '/', ':']).any(|word| word == address);
    rules.lines().filter(names).map(str::to_owned).collect()
}

fn until_none(place: &str, mut look: impl FnMut() -> Vec<String>) {
    let deadline = Instant::now() + SOON;
    loop {
        let left = look();
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "left in {place}: {left:#?}");
        thread::sleep(PAUSE);
    }
}

/// Folders of the hierarchies that name the pod.
fn cgroups(folder: &Path, uid: &str, depth: u32, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        // Beside v1, kubelets of this age leave a folder of every pod in the hierarchy of v2, whosever it is.
        let is_beside = entry.path() == Path::new("/sys/fs/cgroup/unified");
        if is_beside || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name().to_string_lossy().contains(uid) {
            found.push(entry.path().display().to_string());
        } else if depth > 0 {
            cgroups(&entry.path(), uid, depth - 1, found);
        }
    }
}
