//! What an installation left behind: objects of any kind, and traces on the node.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::cluster::wait;
use crate::install::release::{Release, SOON};

/// Waits until nothing of it is left in the cluster; what is, fails.
pub(crate) fn none_in_the_cluster(release: &Release<'_>) {
    let tool = release.tool();
    let kinds = tool.kubectl(&["api-resources", "--verbs=list", "-o", "name"]);
    // Of Events, those on objects that are gone stay until the API server forgets them; nothing else writes their names.
    let kinds: Vec<&str> = kinds.lines().filter(|kind| !kind.starts_with("events")).collect();
    let kinds = kinds.join(",");
    let mut left = String::new();
    let gone = || {
        let all = tool.kubectl(&["get", &kinds, "-A", "-o", "name"]);
        let of_it = all.lines().filter(|line| line.contains(&release.name));
        // The namespace is the case's, where Helm made what is in it.
        left = of_it.filter(|line| !line.starts_with("namespace/")).collect::<Vec<_>>().join(" ");
        left.is_empty().then_some(())
    };
    let gone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait::until("nothing is left", SOON, gone);
    }));
    assert!(gone.is_ok(), "left in the cluster: {left}");
}

/// Waits until the node has nothing of this pod: no cgroup, no folder of the kubelet, no mount, no firewall rule.
pub(crate) fn none_on_the_node(release: &Release<'_>, uid: &str, address: &str) {
    let kubelet = release.tool().dir.join("kubelet/pods").join(uid);
    let look = || {
        let mut left = Vec::new();
        cgroups(Path::new("/sys/fs/cgroup"), uid, 5, &mut left);
        if kubelet.exists() {
            left.push(kubelet.display().to_string());
        }
        let mounts = fs::read_to_string("/proc/self/mounts").expect("mounts");
        left.extend(mounts.lines().filter(|line| line.contains(uid)).map(str::to_owned));
        let rules = Command::new("iptables-save").output().expect("iptables-save runs");
        let rules = String::from_utf8_lossy(&rules.stdout).into_owned();
        let names = |line: &&str| line.split([' ', '/', ':']).any(|word| word == address);
        left.extend(rules.lines().filter(names).map(str::to_owned));
        left
    };
    let deadline = std::time::Instant::now() + SOON;
    loop {
        let left = look();
        if left.is_empty() {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "left on the node: {left:#?}");
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
}

/// Folders of the hierarchies that name the pod.
fn cgroups(folder: &Path, uid: &str, depth: u32, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name().to_string_lossy().contains(uid) {
            found.push(entry.path().display().to_string());
        } else if depth > 0 {
            cgroups(&entry.path(), uid, depth - 1, found);
        }
    }
}
