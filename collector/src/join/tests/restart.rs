//! What one joiner keeps, the next one goes on from.

use super::*;
use crate::cgroup::DeviceIo;

/// A node that goes on from what `before` kept, with the same cgroups and pods.
fn restarted(before: &World) -> World {
    let kept = before.joiner.keep(true);
    let mut after = World::new(Vec::new());
    after.joiner.resume(kept);
    (after.rows, after.index) = (before.rows.clone(), before.index.clone());
    after
}

fn one_container(id: &str) -> World {
    let mut world =
        World::new(vec![pod(1, "cart-1", vec![container("app", Role::Regular, Some(id))])]);
    world.cgroup(1, id).memory.oom_kills = Some(0);
    world
}

fn kills(snapshot: &Snapshot) -> f64 {
    values(snapshot, Id::container(Kernel::OomEvents), "container")[0].1
}

#[test]
fn kills_of_earlier_incarnations_go_on_before_and_after_the_pods_are_known() {
    let mut world = one_container("a");
    world.counters("a").memory.oom_kills = Some(2);
    world.tick();
    world.remove("a");
    world.pods(vec![pod(1, "cart-1", vec![container("app", Role::Regular, Some("b"))])]);
    world.cgroup(1, "b").memory.oom_kills = Some(1);
    assert_eq!(kills(&world.tick()), 3.0);

    let mut second = restarted(&world);
    let index = std::mem::take(&mut second.index);
    second.synced = false;
    second.tick();
    assert_eq!(second.joiner.keep(true), world.joiner.keep(true), "it waits for its pod");
    (second.index, second.synced) = (index, true);
    assert_eq!(kills(&second.tick()), 3.0);
    assert_eq!(kills(&restarted(&second).tick()), 3.0);
}

#[test]
fn what_is_kept_of_a_pod_that_is_gone_goes_with_the_first_list() {
    let mut world = one_container("a");
    world.counters("a").memory.oom_kills = Some(2);
    world.tick();
    let mut second = restarted(&world);
    second.pods(Vec::new());
    second.rows.clear();
    second.synced = false;
    second.tick();
    assert_ne!(second.joiner.keep(true), Kept::default());
    second.pods(Vec::new());
    second.synced = true;
    second.tick();
    assert_eq!(second.joiner.keep(true), Kept::default());
}

#[test]
fn start_is_the_one_that_was_told_first_whatever_the_kernel_says_now() {
    let mut world = one_container("a");
    let start =
        |snapshot: &Snapshot| values(snapshot, Id::container(Kernel::StartTime), "container")[0].1;
    let told = start(&world.tick());
    let mut second = restarted(&world);
    // As v1 does when it renews an inode.
    second.rows[0].created += Duration::from_secs(1000);
    assert_eq!(start(&second.tick()), told);
    second.cgroup(1, "b").memory.oom_kills = Some(0);
    second.remove("a");
    second.pods(vec![pod(1, "cart-1", vec![container("app", Role::Regular, Some("b"))])]);
    second.rows[0].created += Duration::from_secs(2000);
    assert_eq!(start(&second.tick()), told + 2000.0, "another incarnation");
}

#[test]
fn disk_bytes_of_a_pod_do_not_go_back_with_a_container_that_ended_meanwhile() {
    let mut world = one_container("a");
    let (key, inode) = (CgroupKey(90), 90);
    let mut row = world.rows[0].clone();
    (row.key, row.inode, row.scope) = (key, inode, Scope::Pod(uid(1)));
    world.rows.push(row);
    let written = |world: &mut World, bytes| {
        let io = DeviceIo { device: (8, 0), write_bytes: bytes, ..DeviceIo::default() };
        world.rows.iter_mut().find(|row| row.key == key).unwrap().counters.io = vec![io];
        world.devices.insert((8, 0), "sda".into());
        values(&world.tick(), Id::pod(Kernel::FsWritesBytes), "pod")[0].1
    };
    assert_eq!(written(&mut world, 100), 100.0);
    let mut second = restarted(&world);
    assert_eq!(written(&mut second, 30), 100.0);
    let mut anew = restarted(&second);
    anew.rows.iter_mut().find(|row| row.key == key).unwrap().inode = 91;
    assert_eq!(written(&mut anew, 30), 30.0, "the cgroup was made anew");
    assert_eq!(second.joiner.keep(false).io.len(), 0);
}
