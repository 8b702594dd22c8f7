use super::*;
use crate::cgroup::testing::{Files, UID, Watch, count, id};

struct Node {
    files: Files,
    watch: Watch,
    reader: Reader,
    errors: ReadErrors,
}

fn container(number: u64) -> String {
    format!("/kubepods/pod{UID}/{}", id(number))
}

fn uid() -> PodUid {
    PodUid::parse(UID).unwrap()
}

impl Node {
    /// One pod with one container, whose `cgroup.procs` says `procs`.
    fn new(procs: &str) -> Self {
        let files = Files::v2();
        files.write(&format!("cgroup{}/cgroup.procs", container(1)), procs);
        std::fs::create_dir(files.path("proc")).unwrap();
        let watch = files.watch();
        let reader = Reader::open(&files.path("proc")).unwrap();
        Self { files, watch, reader, errors: ReadErrors::default() }
    }

    fn process(&self, pid: u32, cgroup: &str, bytes: u64) -> &Self {
        let lines = format!(
            "Inter-|\n face |\n  lo: {bytes} 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0\neth0: {bytes} 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0\n"
        );
        self.files
            .write(&format!("proc/{pid}/cgroup"), &format!("0::{cgroup}\n"))
            .write(&format!("proc/{pid}/net/dev"), &lines);
        self
    }

    /// Bytes received by each interface of the pod.
    fn tick(&mut self) -> Option<Vec<(String, u64)>> {
        self.tick_wanted(true)
    }

    /// As many ticks as it may take until a process that has ended is noticed.
    fn tick_until_looked_at(&mut self) -> Option<Vec<(String, u64)>> {
        (0..LOOK_EVERY).map(|_| self.tick()).last().flatten()
    }

    fn tick_wanted(&mut self, is_wanted: bool) -> Option<Vec<(String, u64)>> {
        self.watch.tick();
        self.reader.tick(&self.watch.reader, &|_| is_wanted, &mut self.errors);
        Some(
            self.reader
                .pod(uid())?
                .iter()
                .map(|found| (found.name.to_string(), found.receive_bytes))
                .collect(),
        )
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as Node::tick answers it")]
fn eth0(bytes: u64) -> Option<Vec<(String, u64)>> {
    Some(vec![("eth0".to_owned(), bytes)])
}

#[test]
fn interfaces_come_from_a_process_of_the_pod_and_without_lo() {
    let mut node = Node::new("7\n");
    node.process(7, &container(1), 100);
    assert_eq!(node.tick(), eth0(100));
    node.process(7, &container(1), 200);
    assert_eq!(node.tick(), eth0(200));
}

#[test]
fn unwanted_pod_has_none_and_its_file_is_given_up() {
    let mut node = Node::new("7\n");
    node.process(7, &container(1), 100);
    assert_eq!(node.tick(), eth0(100));
    assert_eq!(node.tick_wanted(false), None);
    assert!(node.reader.pods.is_empty());
}

#[test]
fn process_that_left_the_container_is_replaced_by_another() {
    let mut node = Node::new("7\n8\n");
    node.process(7, &container(1), 100).process(8, &container(1), 300);
    assert_eq!(node.tick(), eth0(100));
    node.process(7, "/", 200);
    assert_eq!(node.tick_until_looked_at(), eth0(300));
}

#[test]
fn each_process_is_looked_at_once_in_a_round() {
    let mut node = Node::new("7\n");
    node.process(7, &container(1), 100);
    node.tick();
    let source = node.reader.pods[&uid()].source.as_ref().unwrap();
    let looks = (1..=2 * LOOK_EVERY).filter(|tick| source.is_due(*tick)).count();
    assert_eq!(looks, 2);
    let next = Opened { container: CgroupKey(source.container.0 + 1), ..reopened(source) };
    assert!((1..=LOOK_EVERY).all(|tick| !(source.is_due(tick) && next.is_due(tick))));
}

fn reopened(source: &Opened) -> Opened {
    Opened {
        container: source.container,
        seen: source.seen,
        cgroup: source.cgroup.try_clone().unwrap(),
        cgroup_text: source.cgroup_text.clone(),
        dev: source.dev.try_clone().unwrap(),
        is_host: source.is_host,
    }
}

#[test]
fn pod_whose_container_is_gone_is_forgotten() {
    let mut node = Node::new("7\n");
    node.process(7, &container(1), 100);
    node.tick();
    node.files.remove(&format!("cgroup{}", container(1)));
    assert_eq!(node.tick(), None);
    assert!(node.reader.pods.is_empty());
}

#[test]
fn restarted_container_of_the_pod_is_read_through_its_new_process() {
    let mut node = Node::new("7\n");
    node.process(7, &container(1), 100);
    node.tick();
    node.files.write(&format!("cgroup{}/cgroup.procs", container(2)), "9\n");
    node.files.remove(&format!("cgroup{}", container(1)));
    node.process(9, &container(2), 5);
    assert_eq!(node.tick(), eth0(5));
}

#[test]
fn pid_of_another_pid_namespace_is_not_taken_for_the_pods() {
    let mut node = Node::new("1\n");
    node.process(1, "/init.scope", 999);
    assert_eq!(node.tick(), None);
}

#[test]
fn processes_are_searched_in_proc_when_the_kernel_hides_the_pids() {
    for procs in ["0\n0\n", ""] {
        let mut node = Node::new(procs);
        node.process(1, "/init.scope", 999).process(4242, &format!("/../..{}", container(1)), 100);
        assert_eq!(node.tick(), eth0(100), "{procs:?}");
    }
}

#[test]
fn search_for_a_pod_without_a_process_is_repeated_ever_less_often() {
    let mut node = Node::new("0\n");
    for _ in 0..4 {
        assert_eq!(node.tick(), None);
    }
    let pod = &node.reader.pods[&uid()];
    assert_eq!((pod.misses, pod.wait_until), (3, 8), "in ticks 1, 2 and 4, next in tick 8");
    node.process(7, &container(1), 100);
    assert_eq!(node.tick(), None);
    (0..3).for_each(|_| drop(node.tick()));
    assert_eq!(node.tick_wanted(true), eth0(100));
}

#[test]
fn no_scan_where_the_kernel_tells_all_pids() {
    let mut node = Node::new("7\n");
    node.process(7, &container(1), 100);
    node.tick();
    assert!(node.reader.is_direct);
    // Its procs are empty now, so only a scan would find process 8.
    node.files.write(&format!("cgroup{}/cgroup.procs", container(1)), "");
    node.process(7, "/", 0).process(8, &container(1), 1);
    assert_eq!(node.tick_until_looked_at(), None);
}

#[test]
fn garbage_in_net_dev_is_counted() {
    let mut node = Node::new("7\n");
    node.process(7, &container(1), 100);
    node.files.write("proc/7/net/dev", "eth0: what\n");
    assert_eq!(node.tick(), Some(vec![]));
    assert_eq!(count(&node.errors, Source::Network, Kind::Malformed), 1);
}

#[test]
fn steady_tick_allocates_nothing() {
    let mut node = Node::new("7\n");
    node.process(7, &container(1), 100);
    (0..3).for_each(|_| drop(node.tick()));
    let Node { watch, reader, errors, .. } = &mut node;
    let measured = allocation_counter::measure(|| reader.tick(&watch.reader, &|_| true, errors));
    assert_eq!(measured.count_total, 0);
}

#[test]
fn process_in_the_nodes_own_namespace_tells_nothing_of_its_pod() {
    let mut node = Node::new("7\n");
    node.process(7, &container(1), 100);
    node.files.write("proc/1/ns/net", "").write("proc/7/ns/net", "");
    assert_eq!(node.tick(), eth0(100), "a namespace of its own");

    for (first, expected) in [("/init.scope", None), (&*container(1), eth0(100))] {
        let mut node = Node::new("7\n");
        node.process(1, first, 100).process(7, &container(1), 100);
        node.files.write("proc/1/ns/net", "");
        std::fs::create_dir(node.files.path("proc/7/ns")).unwrap();
        let (one, other) = (node.files.path("proc/1/ns/net"), node.files.path("proc/7/ns/net"));
        std::fs::hard_link(one, other).unwrap();
        assert_eq!((node.tick(), node.tick()), (expected.clone(), expected), "{first}");
    }
}
