//! Memory in use, by kind, and limits.

use rustix::fs::statfs;

use crate::cgroups::{Tree, Version, version};
use crate::truth::{MEMORY, MEMORY_EVENTS, agree};
use crate::worker::Worker;
use crate::{Case, Shown, once};

pub(crate) const CASES: &[Case] = &[
    ("memory::held_memory_is_rss_and_stays_the_peak", held),
    ("memory::file_on_tmpfs_is_cache_that_cannot_be_reclaimed", shared),
    ("memory::file_on_disk_is_cache_outside_of_the_working_set", cached),
    ("memory::limit_is_told", limit),
    ("memory::hits_of_the_limit_are_counted_while_pages_can_be_dropped", hits),
    ("memory::being_slowed_down_over_the_high_limit_is_counted", high),
];

const MIB: f64 = 1_048_576.0;

fn held() -> Shown {
    let tree = Tree::make();
    let container = tree.container();
    let mut worker = Worker::start(&container.group);
    worker.order("hold 24");
    let page = agree(&container, MEMORY, || once(&tree));
    let value = |page: &crate::Page, name| page.value(name, &container.labels()).unwrap();
    assert!(value(&page, "container_memory_rss") >= 24.0 * MIB);
    assert!(value(&page, "container_memory_working_set_bytes") >= 24.0 * MIB);
    assert_eq!(page.value("container_spec_memory_limit_bytes", &container.labels()), Some(0.0));

    worker.order("release");
    let page = agree(&container, MEMORY, || once(&tree));
    assert!(value(&page, "container_memory_rss") < 24.0 * MIB);
    assert!(value(&page, "container_memory_max_usage_bytes") >= 24.0 * MIB);
    Ok(())
}

fn shared() -> Shown {
    const TMPFS: i64 = 0x0102_1994;
    let place = ["/dev/shm", "/tmp"];
    let is_tmpfs = |place: &&&str| statfs(**place).is_ok_and(|found| found.f_type == TMPFS);
    let Some(place) = place.iter().find(is_tmpfs) else {
        return Err("no tmpfs to write to".into());
    };
    let tree = Tree::make();
    let container = tree.container();
    let mut worker = Worker::start(&container.group);
    worker.order(&format!("fill {place}/podmeter-kernel-{} 8", container.id));
    let page = agree(&container, MEMORY, || once(&tree));
    for name in [
        "podmeter_container_memory_shmem_bytes",
        "container_memory_cache",
        "podmeter_container_memory_unreclaimable_bytes",
    ] {
        let value = page.value(name, &container.labels()).unwrap();
        assert!(value >= 8.0 * MIB, "{name} is {value}");
    }
    worker.order("close");
    let page = agree(&container, MEMORY, || once(&tree));
    let shmem = page.value("podmeter_container_memory_shmem_bytes", &container.labels());
    assert_eq!(shmem, Some(0.0));
    Ok(())
}

/// A directory whose files have pages that can be written back and dropped.
fn disk() -> Result<&'static str, String> {
    const EXT4: i64 = 0xef53;
    const XFS: i64 = 0x5846_5342;
    const BTRFS: i64 = 0x9123_683e;
    let is_disk = |found: rustix::fs::StatFs| [EXT4, XFS, BTRFS].contains(&found.f_type);
    match statfs("/var/tmp") {
        Ok(found) if is_disk(found) => Ok("/var/tmp"),
        _ => Err("/var/tmp is on no disk".into()),
    }
}

fn cached() -> Shown {
    let disk = disk()?;
    let tree = Tree::make();
    let container = tree.container();
    let mut worker = Worker::start(&container.group);
    worker.order(&format!("fill {disk}/podmeter-kernel-{} 8", container.id));
    let page = agree(&container, MEMORY, || once(&tree));
    let value = |name| page.value(name, &container.labels()).unwrap();
    assert!(value("container_memory_total_inactive_file_bytes") >= 8.0 * MIB);
    assert!(value("container_memory_cache") >= 8.0 * MIB);
    let reclaimable =
        value("container_memory_usage_bytes") - value("container_memory_working_set_bytes");
    assert!(reclaimable >= 8.0 * MIB, "{reclaimable}");
    Ok(())
}

fn limit() -> Shown {
    let tree = Tree::make();
    let container = tree.container();
    container.group.limit_memory(16 << 20);
    let page = agree(&container, MEMORY, || once(&tree));
    let limit = page.value("container_spec_memory_limit_bytes", &container.labels());
    assert_eq!(limit, Some(16.0 * MIB));
    Ok(())
}

fn hits() -> Shown {
    let disk = disk()?;
    let tree = Tree::make();
    let container = tree.container();
    container.group.limit_memory(16 << 20);
    let mut worker = Worker::start(&container.group);
    let page = agree(&container, MEMORY_EVENTS, || once(&tree));
    let value = |page: &crate::Page, name| page.value(name, &container.labels());
    assert_eq!(value(&page, "container_memory_failcnt"), Some(0.0));

    worker.order(&format!("fill {disk}/podmeter-kernel-{} 32", container.id));
    let page = agree(&container, MEMORY_EVENTS, || once(&tree));
    assert!(value(&page, "container_memory_failcnt") > Some(0.0));
    assert_eq!(value(&page, "container_oom_events_total"), Some(0.0));
    Ok(())
}

fn high() -> Shown {
    if version() == Version::V1 {
        return Err("cgroup v1 has no memory.high".into());
    }
    let tree = Tree::make();
    let container = tree.container();
    container.group.write("memory.high", 16 << 20);
    let mut worker = Worker::start(&container.group);
    worker.order("hold 17");
    let page = agree(&container, MEMORY_EVENTS, || once(&tree));
    assert!(page.value("container_memory_events_high_total", &container.labels()) > Some(0.0));
    agree(&container, MEMORY, || once(&tree));
    Ok(())
}
