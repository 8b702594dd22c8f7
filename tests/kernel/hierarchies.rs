//! Where the hierarchies are: separate ones, a hybrid's second half, mounted elsewhere, nested, forbidden.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::cgroups::{Container, Tree, Version, version};
use crate::truth::{CPU, MEMORY, PIDS, agree};
use crate::worker::Worker;
use crate::{Case, Config, Page, Shown, once, podmeter};

pub(crate) const CASES: &[Case] = &[
    ("hierarchies::all_controllers_make_one_container", one),
    ("hierarchies::other_half_of_a_hybrid_machine_doubles_nothing", hybrid),
    ("hierarchies::mounted_elsewhere_they_say_the_same", elsewhere),
    ("hierarchies::nested_duplicates_count_once", nested),
    ("hierarchies::forbidden_file_is_counted_and_the_rest_goes_on", forbidden),
];

const USAGE: &str = "container_cpu_usage_seconds_total";

fn one() -> Shown {
    let tree = Tree::make();
    let container = tree.container();
    let mut worker = Worker::start(&container.group);
    worker.order("burn");
    for truths in [CPU, MEMORY, PIDS] {
        agree(&container, truths, || once(&tree));
    }
    let page = once(&tree);
    assert_eq!(page.samples(USAGE, &[]).count(), 1);
    let version = if version() == Version::V1 { "v1" } else { "v2" };
    assert_eq!(page.value("podmeter_build_info", &[("cgroup", version)]), Some(1.0));
    Ok(())
}

/// The same cgroup once more in a second half, removed when dropped.
struct Twin(std::path::PathBuf);

impl Drop for Twin {
    fn drop(&mut self) {
        for directory in
            self.0.ancestors().take_while(|path| path.to_string_lossy().contains("kernel-"))
        {
            let _ = fs::remove_dir(directory);
        }
    }
}

fn hybrid() -> Shown {
    let unified = Path::new("/sys/fs/cgroup/unified");
    if version() == Version::V2 || !unified.join("cgroup.controllers").exists() {
        return Err("this machine is no hybrid of cgroup v1 and v2".into());
    }
    let tree = Tree::make();
    let container = tree.container();
    let twin = Twin(unified.join(container.group.path().trim_start_matches('/')));
    fs::create_dir_all(&twin.0).unwrap();
    let mut worker = Worker::start(&container.group);
    worker.order("burn");
    let page = agree(&container, CPU, || once(&tree));
    assert_eq!(page.samples(USAGE, &[]).count(), 1);
    assert_eq!(page.value("podmeter_build_info", &[("cgroup", "v1")]), Some(1.0));
    Ok(())
}

/// As in a container that has the host's hierarchies at another place.
fn elsewhere() -> Shown {
    const MOUNT: &str = r#"mount -t tmpfs none "$0" && mkdir "$0/host" && mount --rbind /sys/fs/cgroup "$0/host" && exec "$@""#;
    let place = tempfile::tempdir().unwrap();
    let tree = Tree::make();
    let container = tree.container();
    let mut worker = Worker::start(&container.group);
    worker.order("burn");
    let config = Config::new(&tree);
    let root = place.path().join("host");
    let ask = || {
        // In a mount namespace of its own, so that nothing is left behind.
        let mut command = podmeter::clean(Command::new("unshare"));
        command.args(["--mount", "sh", "-c", MOUNT]).arg(place.path()).arg(podmeter::binary());
        command
            .args(["once", "--standalone", "--config", config.path(), "--cgroup-root"])
            .arg(&root);
        podmeter::page(&mut command)
    };
    agree(&container, CPU, ask);
    agree(&container, PIDS, ask);
    Ok(())
}

fn nested() -> Shown {
    let tree = Tree::make();
    let outer = tree.container();
    // A node in a container: pods of its own below, and the container's own path once more.
    let inner = Container {
        uid: crate::cgroups::uuid(),
        id: crate::cgroups::container_id(),
        ..outer.clone()
    };
    let below = |uid: &str, id: &str| {
        tree.group(&format!(
            "kubepods/burstable/pod{}/{}/kubepods/pod{uid}/{id}",
            outer.uid, outer.id
        ))
    };
    let group = below(&inner.uid, &inner.id);
    let _again = below(&outer.uid, &outer.id);
    let mut worker = Worker::start(&group);
    worker.order("burn");

    let page = agree(&outer, CPU, || once(&tree));
    assert!(page.value(USAGE, &outer.labels()) > Some(0.0));
    assert_eq!(page.samples(USAGE, &[]).count(), 1);
    assert_eq!(page.all(&[("uid", &inner.uid)]).count(), 0);
    Ok(())
}

fn forbidden() -> Shown {
    let tree = Tree::make();
    let container = tree.container();
    let mut worker = Worker::start(&container.group);
    worker.order("burn");
    let file = match version() {
        Version::V1 => "memory.usage_in_bytes",
        Version::V2 => "memory.current",
    };
    fs::set_permissions(container.group.file(file), fs::Permissions::from_mode(0o600)).unwrap();
    let config = Config::new(&tree);
    fs::set_permissions(config.path(), fs::Permissions::from_mode(0o644)).unwrap();
    let binary = readable_binary();
    let ask = || {
        let mut command = podmeter::clean(Command::new(&binary));
        command.args(["once", "--standalone", "--config", config.path()]);
        podmeter::page(podmeter::as_nobody(&mut command))
    };
    let page: Page = agree(&container, CPU, ask);
    assert_eq!(page.value("container_memory_usage_bytes", &container.labels()), None);
    assert!(page.value("container_memory_rss", &container.labels()).is_some());
    let denied = [("source", "cgroup"), ("kind", "denied")];
    assert!(page.value("podmeter_read_errors_total", &denied) >= Some(1.0));

    // Whoever may read it has no such gap.
    let page = once(&tree);
    assert!(page.value("container_memory_usage_bytes", &container.labels()).is_some());
    assert_eq!(page.value("podmeter_read_errors_total", &denied), Some(0.0));
    Ok(())
}

/// The binary where anybody may run it: a build directory may be root's alone.
fn readable_binary() -> tempfile::TempPath {
    let copy = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    fs::copy(podmeter::binary(), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    copy
}
