use proptest::prelude::*;

use super::*;
use crate::cgroup::testing::Files;

const ROOT: &str = "/sys/fs/cgroup";

fn v1(path: &str, root: &str, controllers: &str) -> String {
    format!("32 31 0:29 {root} {path} rw,relatime shared:9 - cgroup cgroup rw,{controllers}\n")
}

fn v2(path: &str, root: &str) -> String {
    format!("41 31 0:38 {root} {path} rw - cgroup2 cgroup2 rw,nsdelegate\n")
}

/// Each hierarchy as `mountpoint root controllers`.
fn check(table: &str, root: &str, version: Version, expected: &[&str]) {
    let found = parse(table.as_bytes(), Path::new(root)).unwrap();
    let list: Vec<String> = found
        .list
        .iter()
        .map(|hierarchy| {
            let names: Vec<_> =
                hierarchy.controllers.iter().map(|controller| controller.as_str()).collect();
            format!("{} {} {}", hierarchy.mountpoint.display(), hierarchy.root, names.join(","))
        })
        .collect();
    assert_eq!(
        (found.version, list.iter().map(String::as_str).collect::<Vec<_>>().as_slice()),
        (version, expected),
        "{table}"
    );
}

const ALL: &str = "memory,cpuacct,cpu,pids,blkio";

#[test]
fn unified_hierarchy_has_all_controllers() {
    check(&v2(ROOT, "/"), ROOT, Version::V2, &[&format!("{ROOT} / {ALL}")]);
}

#[test]
fn separate_hierarchies_begin_with_the_one_to_walk() {
    let table = ["pids", "cpu", "memory", "cpuset"]
        .map(|name| v1(&format!("{ROOT}/{name}"), "/", name))
        .concat();
    check(
        &table,
        ROOT,
        Version::V1,
        &[
            "/sys/fs/cgroup/memory / memory",
            "/sys/fs/cgroup/cpu / cpu",
            "/sys/fs/cgroup/pids / pids",
        ],
    );
}

#[test]
fn co_mounted_controllers_share_a_hierarchy_in_any_order() {
    for names in ["cpu,cpuacct", "cpuacct,cpu"] {
        check(
            &v1("/sys/fs/cgroup/cpu,cpuacct", "/", names),
            ROOT,
            Version::V1,
            &["/sys/fs/cgroup/cpu,cpuacct / cpuacct,cpu"],
        );
    }
}

#[test]
fn hybrid_host_is_read_as_v1() {
    let table = v2("/sys/fs/cgroup/unified", "/")
        + &v1("/sys/fs/cgroup/systemd", "/", "name=systemd")
        + &v1("/sys/fs/cgroup/memory", "/", "memory");
    check(&table, ROOT, Version::V1, &["/sys/fs/cgroup/memory / memory"]);
}

#[test]
fn mounts_below_the_chosen_root_are_taken() {
    let host = "/host/sys/fs/cgroup";
    let table = v1("/sys/fs/cgroup/memory", "/kubepods/x", "memory")
        + &v1(&format!("{host}/memory"), "/", "memory");
    check(&table, host, Version::V1, &["/host/sys/fs/cgroup/memory / memory"]);
    check(&table, ROOT, Version::V1, &["/sys/fs/cgroup/memory /kubepods/x memory"]);
    check(&v2(host, "/../../.."), host, Version::V2, &[&format!("{host} / {ALL}")]);
}

#[test]
fn hierarchy_that_is_mounted_twice_is_taken_where_it_shows_most() {
    let table = v1("/sys/fs/cgroup/a", "/kubepods", "memory")
        + &v1("/sys/fs/cgroup/b", "/", "memory")
        + &v1("/sys/fs/cgroup/c", "/", "memory");
    check(&table, ROOT, Version::V1, &["/sys/fs/cgroup/b / memory"]);
}

#[test]
fn mount_that_a_later_one_covers_is_not_seen() {
    let tmpfs = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n";
    let table = v2(ROOT, "/") + tmpfs + &v1("/sys/fs/cgroup/memory", "/", "memory");
    check(&table, ROOT, Version::V1, &["/sys/fs/cgroup/memory / memory"]);
    assert!(matches!(
        parse((v2(ROOT, "/") + tmpfs).as_bytes(), Path::new(ROOT)),
        Err(Error::NoHierarchy { .. })
    ));
}

#[test]
fn octal_escapes_are_undone() {
    check(&v2("/a\\040b/\\134x", "/"), "/a b", Version::V2, &[&format!("/a b/\\x / {ALL}")]);
    for (text, expected) in
        [("\\040", " "), ("\\04", "\\04"), ("\\999", "\\999"), ("a\\", "a\\"), ("\\777", "\\777")]
    {
        assert_eq!(unescape(text.as_bytes()), expected.as_bytes());
    }
}

#[test]
fn root_is_a_directory_not_a_prefix_of_its_name() {
    assert!(parse(v2("/sys/fs/cgroup2", "/").as_bytes(), Path::new(ROOT)).is_err());
}

#[test]
fn hierarchies_that_count_nothing_are_refused_with_the_fix() {
    let error =
        parse(v1("/sys/fs/cgroup/systemd", "/", "name=systemd").as_bytes(), Path::new(ROOT))
            .unwrap_err();
    assert!(error.to_string().contains("cgroup_enable=memory"), "{error}");
    let files = Files::new();
    files.write("cgroup/cgroup.controllers", "\n");
    assert!(matches!(
        find(&files.config().root, &files.config().mountinfo),
        Err(Error::NoController { .. })
    ));
}

#[test]
fn absent_tree_and_absent_table_are_errors_with_the_fix() {
    let files = Files::new();
    let config = files.config();
    let error = find(&config.root, &config.mountinfo).unwrap_err();
    assert!(error.to_string().contains("hostPath"), "{error}");
    assert!(matches!(find(&config.root, &files.path("nowhere")), Err(Error::MountTable { .. })));
}

#[test]
fn tree_that_is_no_mount_is_told_by_its_looks() {
    let files = Files::v2();
    assert_eq!(find(&files.config().root, &files.config().mountinfo).unwrap().version, Version::V2);

    let files = Files::new();
    files
        .write("cgroup/cpu,cpuacct/x", "")
        .write("cgroup/memory/x", "")
        .write("cgroup/unified/x", "");
    let found = find(&files.config().root, &files.config().mountinfo).unwrap();
    let controllers: Vec<_> =
        found.list.iter().map(|hierarchy| hierarchy.controllers.as_slice()).collect();
    assert_eq!(found.version, Version::V1);
    assert_eq!(controllers, [&[Controller::Memory][..], &[Controller::Cpuacct, Controller::Cpu]]);
}

proptest! {
    #[test]
    fn any_table_is_read_or_refused_but_never_panics(table in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&table, Path::new("/"));
    }

    #[test]
    fn no_controller_is_read_twice(lines in prop::collection::vec((0..4_usize, 0..3_usize), 0..8)) {
        let names = ["memory", "cpu,cpuacct", "memory,pids", "cpuacct"];
        let paths = ["/sys/fs/cgroup/a", "/sys/fs/cgroup/b", "/sys/fs/cgroup"];
        let table: String = lines.iter().map(|(name, path)| v1(paths[*path], "/", names[*name])).collect();
        if let Ok(found) = parse(table.as_bytes(), Path::new(ROOT)) {
            let mut all: Vec<_> = found.list.iter().flat_map(|hierarchy| &hierarchy.controllers).collect();
            let count = all.len();
            all.sort();
            all.dedup();
            prop_assert_eq!(all.len(), count);
        }
    }
}
