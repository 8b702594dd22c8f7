use std::fs;

use super::*;
use crate::cgroup::Limit;
use crate::cgroup::testing::{Files, UID, Watch, id};

fn pod() -> String {
    format!("/kubepods/burstable/pod{UID}")
}

fn container(number: u64) -> String {
    format!("{}/{}", pod(), id(number))
}

fn ticks(watch: &mut Watch, count: u32) {
    for _ in 0..count {
        watch.tick();
    }
}

fn row<'a>(watch: &'a Watch, path: &str) -> &'a Cgroup {
    watch
        .reader
        .cgroups()
        .iter()
        .find(|cgroup| &*cgroup.path == path)
        .unwrap_or_else(|| panic!("no row for {path}"))
}

fn v2_container(number: u64, usage: &str) -> Files {
    let files = Files::v2();
    files.write(&format!("cgroup{}/memory.current", container(number)), usage);
    files
}

#[test]
fn v2_container_and_its_pod_are_rows() {
    let files = v2_container(1, "4096\n");
    files
        .write(&format!("cgroup{}/memory.max", container(1)), "max\n")
        .write(&format!("cgroup{}/cpu.stat", container(1)), "usage_usec 7\n")
        .write(&format!("cgroup{}/io.stat", container(1)), "8:0 rbytes=1 wbytes=2 rios=3 wios=4\n")
        .write(&format!("cgroup{}/memory.current", pod()), "8192\n");
    let mut watch = files.watch();
    assert_eq!(watch.tick().len(), 2);
    let found = row(&watch, &container(1));
    let uid = PodUid::parse(UID).unwrap();
    assert_eq!(found.scope, Scope::Container { pod: Some(uid), id: ContainerId::new(&id(1)) });
    assert_eq!(found.counters.memory.usage, Some(4096));
    assert_eq!(found.counters.memory.limit, Some(Limit::Max));
    assert_eq!(found.counters.cpu.usage, Some(std::time::Duration::from_micros(7)));
    assert_eq!(found.counters.io[0].writes, 4);
    assert_eq!(found.counters.memory.peak, None);
    assert!(!found.seen_from_start && found.inode > 0);
    assert_eq!(row(&watch, &pod()).scope, Scope::Pod(uid));
    assert_eq!(row(&watch, &pod()).counters.memory.usage, Some(8192));
}

#[test]
fn v1_container_is_read_from_all_its_hierarchies() {
    let files = Files::v1();
    for (file, text) in [
        ("memory{cgroup}/memory.usage_in_bytes", "4096\n"),
        ("memory{cgroup}/memory.limit_in_bytes", "9223372036854771712\n"),
        ("memory{cgroup}/memory.stat", "total_rss 5\n"),
        ("cpuacct{cgroup}/cpuacct.usage", "1000\n"),
        ("cpu{cgroup}/cpu.cfs_quota_us", "50000\n"),
        ("cpu{cgroup}/cpu.cfs_period_us", "100000\n"),
        ("pids{cgroup}/pids.current", "3\n"),
        ("blkio{cgroup}/blkio.throttle.io_service_bytes", "8:0 Read 1\n8:0 Write 2\nTotal 3\n"),
    ] {
        files.write(&format!("cgroup/{}", file.replace("{cgroup}", &container(1))), text);
    }
    let mut watch = files.watch();
    watch.tick();
    let counters = &row(&watch, &container(1)).counters;
    assert_eq!(
        (counters.memory.usage, counters.memory.anon, counters.memory.limit),
        (Some(4096), Some(5), Some(Limit::Max))
    );
    assert_eq!(counters.cpu.usage, Some(std::time::Duration::from_micros(1)));
    assert_eq!(counters.cpu.quota.unwrap().cores(), Some(0.5));
    assert_eq!((counters.pids.current, counters.io[0].write_bytes), (Some(3), 2));
    assert_eq!(watch.reader.version(), Version::V1);
}

#[test]
fn v1_with_co_mounted_controllers_and_others_missing_reads_what_is_there() {
    let files = Files::new();
    files.write(&format!("cgroup/cpu,cpuacct{}/cpuacct.usage", container(1)), "1000\n");
    files.write(&format!("cgroup/cpu,cpuacct{}/cpu.shares", container(1)), "512\n");
    files.write("cgroup/unified/cgroup.controllers", "\n");
    let mut watch = files.watch();
    watch.tick();
    let counters = &row(&watch, &container(1)).counters;
    assert_eq!((counters.cpu.shares, counters.memory.usage), (Some(512), None));
    assert!(counters.cpu.usage.is_some());
}

#[test]
fn hierarchies_named_by_the_mount_table_are_read() {
    let files = Files::v1();
    let mount = |name: &str| {
        format!(
            "1 1 0:1 / {} rw - cgroup cgroup rw,{name}\n",
            files.path("cgroup").join(name).display()
        )
    };
    files.write("mountinfo", &["memory", "pids"].map(mount).concat());
    files.write(&format!("cgroup/memory{}/memory.usage_in_bytes", container(1)), "4096\n");
    files.write(&format!("cgroup/cpu{}/cpu.shares", container(1)), "2\n");
    let mut watch = files.watch();
    watch.tick();
    let counters = &row(&watch, &container(1)).counters;
    assert_eq!(
        (counters.memory.usage, counters.cpu.shares),
        (Some(4096), None),
        "cpu is not in the table"
    );
}

#[test]
fn absent_is_none_and_garbage_is_counted_and_costs_that_field_alone() {
    let files = v2_container(1, "many\n");
    files
        .write(&format!("cgroup{}/pids.current", container(1)), "3\n")
        .write(&format!("cgroup{}/cpu.max", container(1)), "");
    let mut watch = files.watch();
    watch.tick();
    let counters = &row(&watch, &container(1)).counters;
    assert_eq!(
        (counters.memory.usage, counters.pids.current, counters.cpu.quota),
        (None, Some(3), None)
    );
    assert_eq!(watch.errors(Kind::Malformed), 2);
}

#[test]
fn value_that_went_bad_does_not_keep_the_old_one() {
    let files = v2_container(1, "1\n");
    let mut watch = files.watch();
    watch.tick();
    let path = format!("cgroup{}/memory.current", container(1));
    fs::write(files.path(&path), "").unwrap();
    watch.tick();
    assert_eq!(row(&watch, &container(1)).counters.memory.usage, None);
}

#[test]
fn new_value_is_read_from_the_kept_file() {
    let files = v2_container(1, "1\n");
    let mut watch = files.watch();
    watch.tick();
    let key = row(&watch, &container(1)).key;
    files.write(&format!("cgroup{}/memory.current", container(1)), "2\n");
    watch.tick();
    assert_eq!(row(&watch, &container(1)).counters.memory.usage, Some(2));
    assert_eq!(row(&watch, &container(1)).key, key);
}

#[test]
fn new_container_is_a_row_in_the_next_tick_and_a_gone_one_none() {
    let files = v2_container(1, "1\n");
    let mut watch = files.watch();
    watch.tick();
    files.write(&format!("cgroup{}/memory.current", container(2)), "2\n");
    assert_eq!(watch.tick().len(), 3);
    assert!(row(&watch, &container(2)).seen_from_start);
    files.remove(&format!("cgroup{}", container(1)));
    assert_eq!(watch.tick().len(), 2);
    assert_eq!(row(&watch, &container(2)).counters.memory.usage, Some(2));
}

#[test]
fn replaced_container_gets_a_new_key_and_its_own_numbers() {
    let files = v2_container(1, "1\n");
    let mut watch = files.watch();
    watch.tick();
    let before = row(&watch, &container(1)).key;
    files.remove(&format!("cgroup{}", container(1)));
    files.write(&format!("cgroup{}/memory.current", container(1)), "9\n");
    watch.tick();
    let after = row(&watch, &container(1));
    assert!(after.key != before && after.seen_from_start);
    assert_eq!(after.counters.memory.usage, Some(9));
}

#[test]
fn file_that_comes_late_is_found_within_the_first_ticks() {
    let files = v2_container(1, "1\n");
    let mut watch = files.watch();
    watch.tick();
    files.write(&format!("cgroup{}/memory.max", container(1)), "5\n");
    watch.tick();
    assert_eq!(row(&watch, &container(1)).counters.memory.limit, Some(Limit::At(5)));
}

#[test]
fn file_of_a_controller_enabled_later_is_found_after_some_ticks() {
    let files = v2_container(1, "1\n");
    let mut watch = files.watch();
    ticks(&mut watch, 3);
    files.write(&format!("cgroup{}/pids.current", container(1)), "5\n");
    watch.tick();
    assert_eq!(row(&watch, &container(1)).counters.pids.current, None);
    ticks(&mut watch, 30);
    assert_eq!(row(&watch, &container(1)).counters.pids.current, Some(5));
}

#[test]
fn same_container_in_two_places_counts_once_until_the_first_goes() {
    let files = v2_container(1, "1\n");
    let other = format!("/kubelet/kubepods/pod{UID}/{}", id(1));
    let mut watch = files.watch();
    watch.tick();
    files.write(&format!("cgroup{other}/memory.current"), "2\n");
    assert_eq!(watch.tick().len(), 2);
    assert_eq!(row(&watch, &container(1)).counters.memory.usage, Some(1));
    files.remove("cgroup/kubepods");
    assert_eq!(watch.tick().len(), 2);
    assert_eq!(row(&watch, &other).counters.memory.usage, Some(2));
}

#[test]
fn thousand_cgroups_are_bounded_and_counted() {
    let files = Files::v2();
    for number in 0..1000 {
        fs::create_dir_all(files.path(&format!("cgroup{}", container(number)))).unwrap();
    }
    let mut watch = files.watch_bounded(Bounds { cgroups: 100, ..Bounds::default() });
    assert_eq!(watch.tick().len(), 100);
    assert_eq!(watch.errors(Kind::Bounded), 901);
    watch.tick();
    assert_eq!(watch.errors(Kind::Bounded), 901, "refused once, not every tick");
}

#[test]
fn unreadable_file_is_counted_as_denied() {
    use std::os::unix::fs::PermissionsExt;
    let files = v2_container(1, "1\n");
    let path = files.path(&format!("cgroup{}/memory.current", container(1)));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
    if fs::File::open(&path).is_ok() {
        return; // Root reads everything.
    }
    let mut watch = files.watch();
    watch.tick();
    assert_eq!(watch.errors(Kind::Denied), 1);
    assert_eq!(row(&watch, &container(1)).counters.memory.usage, None);
}

#[test]
fn directory_in_a_files_place_is_counted_and_nothing_else_is_lost() {
    let files = v2_container(1, "1\n");
    fs::create_dir(files.path(&format!("cgroup{}/pids.current", container(1)))).unwrap();
    let mut watch = files.watch();
    watch.tick();
    assert_eq!(watch.errors(Kind::Io), 1);
    assert_eq!(row(&watch, &container(1)).counters.memory.usage, Some(1));
}

#[test]
fn first_pids_of_a_cgroup_are_read() {
    let files = v2_container(1, "1\n");
    files.write(
        &format!("cgroup{}/cgroup.procs", container(1)),
        &(0..100).map(|pid| pid.to_string() + "\n").collect::<String>(),
    );
    let mut watch = files.watch();
    watch.tick();
    let mut pids = vec![9];
    watch.reader.pids(row(&watch, &container(1)), &mut pids).unwrap();
    assert_eq!(pids, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert!(watch.reader.pids(row(&watch, &pod()), &mut pids).is_err());
}

#[test]
fn steady_tick_allocates_nothing() {
    let files = Files::v2();
    for number in 0..20 {
        for (name, text) in [
            ("memory.current", "4096\n"),
            ("memory.stat", "anon 1\nfile 2\n"),
            ("cpu.stat", "usage_usec 1\n"),
            ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4\n"),
            ("cpu.pressure", "some avg10=0.00 total=1\nfull avg10=0.00 total=1\n"),
        ] {
            files.write(&format!("cgroup{}/{name}", container(number)), text);
        }
    }
    let mut watch = files.watch();
    watch.tick();
    watch.tick();
    let measured = allocation_counter::measure(|| {
        watch.tick();
    });
    assert_eq!((watch.reader.cgroups().len(), measured.count_total), (21, 0));
    // The tick in which absent files are looked for again.
    ticks(&mut watch, 29);
    let measured = allocation_counter::measure(|| {
        watch.tick();
    });
    assert_eq!(measured.count_total, 0);
}
