use std::fs::{self, File};

use super::*;
use crate::cgroup::testing::{Files, UID, count, id};

struct Walk {
    files: Files,
    tree: Tree,
    errors: ReadErrors,
}

impl Walk {
    fn new(subtree: &str, bounds: Bounds) -> Self {
        Self::mounted("/", subtree, bounds)
    }

    fn mounted(mount_root: &str, subtree: &str, bounds: Bounds) -> Self {
        let files = Files::v2();
        let mount = File::open(files.path("cgroup")).unwrap().into();
        Self {
            files,
            tree: Tree::new(mount, mount_root, subtree, bounds),
            errors: ReadErrors::default(),
        }
    }

    fn make(&self, path: &str) {
        fs::create_dir_all(self.files.path("cgroup").join(path.trim_start_matches('/'))).unwrap();
    }

    fn remove(&self, path: &str) {
        self.files.remove(&format!("cgroup{path}"));
    }

    /// The changes of one tick, in order: `+path`, `*path` (seen from start) or `-node`.
    fn tick(&mut self) -> Vec<String> {
        let mut changes = Vec::new();
        self.tree.update(&mut changes, &mut self.errors);
        changes
            .into_iter()
            .map(|change| match change {
                Change::New(found) => {
                    format!("{}{}", if found.seen_from_start { '*' } else { '+' }, found.path)
                }
                Change::Gone(_) => "-".to_owned(),
            })
            .collect()
    }
}

fn pod(number: u32) -> String {
    format!("/kubepods/pod00000000-0000-0000-0000-{number:012}")
}

#[test]
fn pods_and_containers_are_found_once_and_only_new_ones_count_as_seen_from_the_start() {
    let mut walk = Walk::new("/", Bounds::default());
    walk.make(&format!("{}/{}", pod(1), id(1)));
    assert_eq!(walk.tick(), [format!("+{}", pod(1)), format!("+{}/{}", pod(1), id(1))]);
    assert_eq!(walk.tick(), [""; 0]);
    walk.make(&format!("{}/{}", pod(1), id(2)));
    assert_eq!(walk.tick(), [format!("*{}/{}", pod(1), id(2))]);
    walk.make(&format!("{}/{}", pod(2), id(3)));
    assert_eq!(walk.tick(), [format!("*{}", pod(2)), format!("*{}/{}", pod(2), id(3))]);
}

#[test]
fn gone_container_and_gone_pod_are_noticed() {
    let mut walk = Walk::new("/", Bounds::default());
    walk.make(&format!("{}/{}", pod(1), id(1)));
    walk.make(&format!("{}/{}", pod(2), id(2)));
    assert_eq!(walk.tick().len(), 4);
    walk.remove(&format!("{}/{}", pod(1), id(1)));
    assert_eq!(walk.tick(), ["-"]);
    walk.remove(&pod(2));
    assert_eq!(walk.tick(), ["-", "-"]);
    walk.remove("/kubepods");
    assert_eq!(walk.tick(), ["-"]);
}

#[test]
fn replaced_directory_is_gone_before_it_is_new() {
    let mut walk = Walk::new("/", Bounds::default());
    walk.make(&pod(1));
    walk.tick();
    walk.remove(&pod(1));
    walk.make(&pod(1));
    assert_eq!(walk.tick(), ["-".to_owned(), format!("*{}", pod(1))]);
}

#[test]
fn nothing_below_a_container_of_a_pod_is_opened() {
    let mut walk = Walk::new("/", Bounds::default());
    walk.make(&format!("{}/{}/kubepods/pod{UID}/{}", pod(1), id(1), id(2)));
    assert_eq!(walk.tick().len(), 2);
    assert_eq!(walk.tree.directories, 3, "root, kubepods and the pod");
}

#[test]
fn pods_of_a_node_that_is_a_container_are_found() {
    let mut walk = Walk::new("/", Bounds::default());
    let node = format!("/docker/{}", id(9));
    walk.make(&format!("{node}/kubelet{}/{}", pod(1), id(1)));
    assert_eq!(
        walk.tick(),
        [
            format!("+{node}"),
            format!("+{node}/kubelet{}", pod(1)),
            format!("+{node}/kubelet{}/{}", pod(1), id(1))
        ]
    );
}

#[test]
fn subtree_limits_the_walk_and_may_come_and_go() {
    let mut walk = Walk::new("/mine/", Bounds::default());
    walk.make(&pod(1));
    assert_eq!(walk.tick(), [""; 0]);
    walk.make(&format!("/mine{}", pod(2)));
    assert_eq!(walk.tick(), [format!("*/mine{}", pod(2))]);
    walk.remove("/mine");
    assert_eq!(walk.tick(), ["-"]);
    walk.make(&format!("/mine{}", pod(2)));
    assert_eq!(walk.tick(), [format!("*/mine{}", pod(2))]);
    assert_eq!(walk.errors.counts().map(|(.., count)| count).sum::<u64>(), 0);
}

#[test]
fn subtree_inside_a_container_is_a_world_of_its_own() {
    let node = format!("{}/{}", pod(9), id(9));
    let mut walk = Walk::new(&node, Bounds::default());
    walk.make(&format!("{node}{}/{}", pod(1), id(1)));
    assert_eq!(walk.tick(), [format!("+{node}{}", pod(1)), format!("+{node}{}/{}", pod(1), id(1))]);
}

#[test]
fn bind_mount_of_a_part_gives_paths_of_the_whole() {
    let mut walk = Walk::mounted("/kubepods", "/", Bounds::default());
    let name = pod(1).replace("/kubepods", "");
    walk.make(&name);
    assert_eq!(walk.tick(), [format!("+{}", pod(1))]);

    let mut walk = Walk::mounted("/kubepods", "/kubepods/burstable", Bounds::default());
    walk.make(&format!("/burstable{name}"));
    assert_eq!(walk.tick(), [format!("+/kubepods/burstable{name}")]);
}

#[test]
fn cgroups_beyond_the_bound_are_counted_and_taken_when_there_is_room() {
    let mut walk = Walk::new("/", Bounds { cgroups: 2, ..Bounds::default() });
    (1..=3).for_each(|number| walk.make(&pod(number)));
    assert_eq!(walk.tick().len(), 2);
    assert_eq!(count(&walk.errors, Source::Cgroup, Kind::Bounded), 1);
    let taken: Vec<u32> = (1..=3)
        .filter(|number| walk.tree.nodes.iter().flatten().any(|node| *node.path == *pod(*number)))
        .collect();
    walk.remove(&pod(taken[0]));
    let changes: Vec<_> = walk.tick().into_iter().chain(walk.tick()).collect();
    assert_eq!(changes.len(), 2, "{changes:?}");
    assert!(changes[1].starts_with('+'), "it was there before: {changes:?}");
}

#[test]
fn directories_beyond_the_bounds_are_counted() {
    let mut walk = Walk::new("/", Bounds { directories: 3, ..Bounds::default() });
    (0..10).for_each(|number| walk.make(&format!("/system.slice/{number}.service")));
    walk.tick();
    assert_eq!((walk.tree.directories, count(&walk.errors, Source::Cgroup, Kind::Bounded)), (3, 9));

    let mut walk = Walk::new("/", Bounds { depth: 2, ..Bounds::default() });
    walk.make("/a/b/c/d");
    walk.tick();
    assert_eq!((walk.tree.directories, count(&walk.errors, Source::Cgroup, Kind::Bounded)), (3, 1));
}

#[test]
fn files_links_and_ignored_names_are_not_entered() {
    let mut walk = Walk::new("/", Bounds::default());
    walk.make("/kubepods");
    walk.files.write(&format!("cgroup{}", pod(1)), "a file");
    std::os::unix::fs::symlink("/", walk.files.path(&format!("cgroup{}", pod(2)))).unwrap();
    walk.make("/kubepods/x.mount");
    assert_eq!(walk.tick(), [""; 0]);
    assert_eq!(walk.tree.directories, 2);
}

#[test]
fn empty_directory_that_was_replaced_unseen_is_found_by_the_sweep() {
    let mut walk = Walk::new("/", Bounds::default());
    walk.make("/kubepods");
    walk.tick();
    // As on a kernel whose count of children stays the same: the root's signature is what it will be.
    walk.remove("/kubepods");
    walk.make(&pod(1));
    let root = walk.tree.root.unwrap();
    let directory = walk.tree.directory_mut(root).unwrap();
    directory.signature = signature(directory.fd.as_fd());
    let found = (0..4).flat_map(|_| walk.tick()).collect::<Vec<_>>();
    assert_eq!(found, [format!("*{}", pod(1))]);
}
