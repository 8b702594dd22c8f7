//! Which numbers an entity has, and from when on.

use super::*;

/// A container that runs since so many seconds, by the kubelet's word.
fn running(id: &str, since: u64) -> Vec<Pod> {
    let mut app = container("app", Role::Regular, Some(id));
    let since = SystemTime::UNIX_EPOCH + Duration::from_secs(since);
    app.status.as_mut().unwrap().state = State::Running(Some(since));
    vec![pod(1, "cart-1", vec![app])]
}

fn starts(snapshot: &Snapshot) -> Vec<f64> {
    let starts = values(snapshot, Id::container(Kernel::StartTime), "container");
    starts.into_iter().map(|(_, start)| start).collect()
}

#[test]
fn start_is_told_once_though_the_kubelet_says_it_later_and_rounded() {
    let mut world = World::new(vec![pod(1, "cart-1", vec![container("app", Role::Regular, None)])]);
    world.cgroup(1, "s");
    world.cgroup(1, "a");
    world.rows[1].created = SystemTime::UNIX_EPOCH + Duration::from_millis(100_760);
    assert_eq!(starts(&world.tick()), [100.76]);
    world.pods(running("a", 100));
    assert_eq!(starts(&world.tick()), [100.76]);
    // A birth that is far off, as after a remount, is no birth.
    world.pods(running("a", 50));
    assert_eq!(starts(&world.tick()), [50.0]);
}

#[test]
fn new_container_has_not_the_start_of_the_one_its_status_is_still_about() {
    let mut world = World::new(running("a", 100));
    world.cgroup(1, "s");
    world.cgroup(1, "a");
    assert_eq!(starts(&world.tick()), [100.0]);
    world.cgroup(1, "b");
    world.remove("a");
    world.rows[1].created = SystemTime::UNIX_EPOCH + Duration::from_secs(130);
    assert_eq!(starts(&world.tick()), [130.0]);
}

#[test]
fn restart_gives_no_rate_rather_than_a_negative_one() {
    let mut world =
        World::new(vec![pod(1, "cart-1", vec![container("app", Role::Regular, Some("a"))])]);
    world.cgroup(1, "s");
    world.cgroup(1, "a").cpu.usage = Some(Duration::from_secs(100));
    world.tick();
    world.counters("a").cpu.usage = Some(Duration::from_secs(101));
    assert_eq!(
        values(&world.tick(), Series::CpuLimitRatio, "container"),
        [("app".to_owned(), 0.5)]
    );
    assert_eq!(
        values(&world.tick(), Series::CpuRequestRatio, "container"),
        [("app".to_owned(), 0.0)]
    );
    world.counters("a").cpu.usage = Some(Duration::from_secs(1));
    assert!(values(&world.tick(), Series::CpuLimitRatio, "container").is_empty());
}

#[test]
fn ratios_use_what_the_kernel_enforces_before_the_spec() {
    let mut world =
        World::new(vec![pod(1, "cart-1", vec![container("app", Role::Regular, Some("a"))])]);
    world.cgroup(1, "s");
    let counters = world.cgroup(1, "a");
    counters.memory.usage = Some(80 * MIB);
    counters.memory.inactive_file = Some(30 * MIB);
    counters.memory.anon = Some(20 * MIB);
    counters.memory.shmem = Some(5 * MIB);
    counters.memory.limit = Some(Limit::At(100 * MIB));
    counters.cpu.quota = Some(CpuQuota { quota: Limit::Max, period: Duration::from_millis(100) });
    counters.cpu.usage = Some(Duration::ZERO);
    world.tick();
    world.counters("a").cpu.usage = Some(Duration::from_secs(1));
    let snapshot = world.tick();
    assert_eq!(
        agent_value(&snapshot, Series::MemoryLimitRatio, Some(("basis", "working_set"))),
        0.5
    );
    assert_eq!(
        agent_value(&snapshot, Series::MemoryLimitRatio, Some(("basis", "unreclaimable"))),
        0.25
    );
    assert_eq!(agent_value(&snapshot, Series::MemoryRequestRatio, None), 0.5);
    assert!(snapshot.points(Series::CpuLimitRatio.into()).is_empty(), "the kernel enforces none");
}

#[test]
fn growing_memory_says_when_it_reaches_the_limit_and_flat_memory_nothing() {
    let mut world =
        World::new(vec![pod(1, "cart-1", vec![container("app", Role::Regular, Some("a"))])]);
    world.cgroup(1, "s");
    world.cgroup(1, "a").memory.limit = Some(Limit::At(200 * MIB));
    for step in 0..10 {
        world.counters("a").memory.anon = Some(10 * MIB * (step + 1));
        world.tick();
    }
    let snapshot = world.tick();
    let seconds = values(&snapshot, Series::MemorySecondsToLimit, "container");
    assert_eq!(seconds.len(), 1);
    assert!((seconds[0].1 - 100.0).abs() < 15.0, "{seconds:?}");
    let snapshot = (0..60).map(|_| world.tick()).last().unwrap();
    assert!(values(&snapshot, Series::MemorySecondsToLimit, "container").is_empty());
}

#[test]
fn oom_kills_survive_the_replacement_of_the_container() {
    let mut world =
        World::new(vec![pod(1, "cart-1", vec![container("app", Role::Regular, Some("a"))])]);
    world.cgroup(1, "s");
    world.cgroup(1, "a").memory.oom_kills = Some(0);
    let kills =
        |snapshot: &Snapshot| values(snapshot, Id::container(Kernel::OomEvents), "container");
    assert_eq!(kills(&world.tick()), [("app".to_owned(), 0.0)]);
    world.counters("a").memory.oom_kills = Some(2);
    assert_eq!(kills(&world.tick()), [("app".to_owned(), 2.0)]);
    world.remove("a");
    world.cgroup(1, "b").memory.oom_kills = Some(0);
    world.pods(vec![pod(1, "cart-1", vec![container("app", Role::Regular, Some("b"))])]);
    assert_eq!(kills(&world.tick()), [("app".to_owned(), 2.0)]);
}

#[test]
fn pods_oom_kills_are_its_containers_where_the_kernel_does_not_sum_them() {
    let mut world =
        World::new(vec![pod(1, "cart-1", vec![container("app", Role::Regular, Some("a"))])]);
    world.cgroup(1, "p").memory.oom_kills = Some(0);
    world.rows[0].scope = Scope::Pod(uid(1));
    world.cgroup(1, "s");
    world.cgroup(1, "a").memory.oom_kills = Some(2);
    let kills = |snapshot: &Snapshot| values(snapshot, Id::pod(Kernel::OomEvents), "pod");
    assert_eq!(kills(&world.tick()), [("cart-1".to_owned(), 2.0)], "v1");
    world.rows[0].counters.memory.oom_kills = Some(3);
    assert_eq!(kills(&world.tick()), [("cart-1".to_owned(), 3.0)], "v2");
}

#[test]
fn excluded_families_are_left_out_and_counted_out() {
    let exclude =
        GlobSetBuilder::new().add(Glob::new("container_memory_*").unwrap()).build().unwrap();
    let mut world = World::with(
        vec![pod(1, "cart-1", vec![container("app", Role::Regular, Some("a"))])],
        exclude,
    );
    world.cgroup(1, "s");
    world.cgroup(1, "a").memory.usage = Some(7);
    let snapshot = world.tick();
    assert!(usage(&snapshot).is_empty());
    assert_eq!(agent_value(&snapshot, Series::SeriesCount, None), snapshot.series() as f64);
}

#[test]
fn oom_kills_survive_a_list_that_lacks_the_pod_for_a_moment() {
    let pods = || vec![pod(1, "cart-1", vec![container("app", Role::Regular, Some("b"))])];
    let mut world =
        World::new(vec![pod(1, "cart-1", vec![container("app", Role::Regular, Some("a"))])]);
    world.cgroup(1, "s");
    world.cgroup(1, "a").memory.oom_kills = Some(2);
    world.tick();
    world.remove("a");
    world.cgroup(1, "b").memory.oom_kills = Some(0);
    world.pods(pods());
    world.tick();
    world.pods(Vec::new());
    for _ in 0..3 {
        world.tick();
    }
    world.pods(pods());
    assert_eq!(
        values(&world.tick(), Id::container(Kernel::OomEvents), "container"),
        [("app".to_owned(), 2.0)]
    );
    world.rows.clear();
    world.pods(Vec::new());
    world.tick();
    assert!(world.joiner.layout.former.is_empty(), "nothing is kept of a pod that is gone");
}

#[test]
fn ended_pod_reserves_nothing_but_keeps_what_its_containers_asked_for() {
    let mut job = pod(1, "job-1", vec![container("work", Role::Regular, Some("a"))]);
    job.phase = Phase::Succeeded;
    let snapshot = World::new(vec![job]).tick();
    assert!(!snapshot.points(Series::ContainerRequests.into()).is_empty());
    assert!(snapshot.points(Series::PodRequest.into()).is_empty());
    assert!(snapshot.points(Series::PodLimit.into()).is_empty());
}

#[test]
fn pod_that_outlived_a_reboot_began_anew_with_its_cgroup() {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let mut kept = pod(1, "cart-1", Vec::new());
    kept.started = Some(at(100));
    let mut world = World::new(vec![kept]);
    world.cgroup(1, "unused");
    world.rows[0].scope = Scope::Pod(uid(1));
    world.rows[0].created = at(520);
    let start = |snapshot: &Snapshot| {
        snapshot.entities()[snapshot.points(Series::PodInfo.into())[0].entity as usize].start
    };
    world.host.booted = Some(at(50));
    assert_eq!(start(&world.tick()), Some(at(100)));
    world.host.booted = Some(at(500));
    assert_eq!(start(&world.tick()), Some(at(520)));
}

#[test]
fn resources_whose_names_become_the_same_are_one_series() {
    let mut app = container("app", Role::Regular, Some("a"));
    app.resources.requests.others = vec![("x.io/a-b".into(), 1.0), ("x.io/a.b".into(), 2.0)];
    let snapshot = World::new(vec![pod(1, "cart-1", vec![app])]).tick();
    let devices = snapshot.points(Series::ContainerRequests.into()).iter().filter(|point| {
        point.extra.as_ref().is_some_and(|extra| extra.value("resource") == Some("x_io_a_b"))
    });
    assert_eq!(devices.map(|point| point.value).collect::<Vec<_>>(), [3.0]);
}
