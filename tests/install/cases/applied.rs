//! Plain manifests: applied, running with no more rights than they have to, and deleted again.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::install::leftovers;
use crate::install::reader::reader;
use crate::install::release::{READY, Release};
use crate::install::suite::Suite;

/// Podmeter's user and group.
const USER: u32 = 65532;

pub(crate) fn applied_manifests_are_ready_within_twenty_seconds_and_go_without_a_trace(
    suite: &Suite,
) {
    let began = Instant::now();
    let release = Release::by_manifests(suite, "applied");
    release.ready();
    let took = began.elapsed();
    eprintln!("install: from kubectl apply until ready: {:.1} s", took.as_secs_f64());
    assert!(took <= READY, "ready after {took:?}");
    for path in ["/livez", "/readyz"] {
        assert_eq!(release.get(path, None).status, 200, "{path}");
    }
    for path in ["/metrics", "/", "/api/v1/snapshot"] {
        assert_eq!(release.get(path, None).status, 401, "{path}");
    }
    let token = reader(&release, "watcher");
    assert_eq!(release.get("/metrics", Some(&token)).status, 200);
    let pod = release.pod();
    let container = pod["status"]["containerStatuses"][0]["containerID"].as_str().expect("its id");
    unprivileged(&process(container.rsplit('/').next().expect("an id")));

    let (uid, address) = (&pod["metadata"]["uid"], &pod["status"]["podIP"]);
    let [uid, address] = [uid, address].map(|it| it.as_str().expect("it runs").to_owned());
    release.uninstall();
    leftovers::none_in_the_cluster(&release);
    leftovers::none_on_the_node(&release, &uid, &address);
}

/// The container's one process, as the node sees it.
fn process(container: &str) -> PathBuf {
    let all = fs::read_dir("/proc").expect("processes").flatten().map(|entry| entry.path());
    let is_in = |process: &PathBuf| {
        fs::read_to_string(process.join("cgroup")).is_ok_and(|groups| groups.contains(container))
    };
    let found: Vec<_> = all.filter(is_in).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

/// What the kernel lets it do, whatever its manifest says.
fn unprivileged(process: &Path) {
    let status = fs::read_to_string(process.join("status")).expect("it runs");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {name}: {status}"))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    for name in ["Uid", "Gid"] {
        assert_eq!(field(name), [USER; 4].map(|id| id.to_string()).join(" "), "{name}");
    }
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(name), "0000000000000000", "{name}");
    }
    assert_eq!((field("NoNewPrivs").as_str(), field("Seccomp").as_str()), ("1", "2"));
    for space in ["net", "pid", "ipc", "uts", "mnt"] {
        let of = |process: &Path| fs::read_link(process.join("ns").join(space)).expect("it is one");
        assert_ne!(of(process), of(Path::new("/proc/self")), "{space}");
    }
    unwritable(process);
}

/// Nothing of the file systems in its view is its to change.
fn unwritable(process: &Path) {
    let mounts = fs::read_to_string(process.join("mounts")).expect("it runs");
    let written = mounts.lines().filter(|line| {
        let words: Vec<_> = line.split(' ').collect();
        let is_ours = !["/proc", "/sys", "/dev"].iter().any(|it| under(words[1], it));
        is_ours && words[3].split(',').any(|option| option == "rw")
    });
    // Names of hosts, and where to write how it ended, are the kubelet's. What is mounted below a mount that cannot be
    // written can, and cgroup v1 has a hierarchy each there; that they belong to root has to do.
    for line in written {
        let place = line.split(' ').nth(1).expect("a place");
        let place = process.join("root").join(place.trim_start_matches('/'));
        let found = fs::metadata(&place).expect("it is there");
        let is_open = found.mode() & 0o002 != 0 || found.uid() == USER || found.gid() == USER;
        // The log of how it ended is made for it.
        assert!(!is_open || line.contains("termination-log"), "can be written: {line}");
    }
}

fn under(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
