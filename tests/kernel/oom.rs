//! Processes that the OOM killer kills: children, whole containers, and their replacements.

use crate::cgroups::{Container, Tree};
use crate::podmeter::until;
use crate::pods::{Api, Pod};
use crate::truth::{MEMORY_EVENTS, agree, oom_kills};
use crate::worker::Worker;
use crate::{Case, Shown, once, run};

pub(crate) const CASES: &[Case] = &[
    ("oom::killed_child_of_a_living_container_counts_once", child),
    ("oom::container_replaced_after_the_kernel_told_keeps_its_total", replaced_late),
    ("oom::container_replaced_before_anyone_looked_counts_by_its_status", replaced_at_once),
];

const KILLS: &str = "container_oom_events_total";
const KILL: i32 = 9;
/// Room for a worker, and not for what it will be asked to take.
const LIMIT: u64 = 24 << 20;

fn child() -> Shown {
    let tree = Tree::make();
    let container = tree.container();
    container.group.limit_memory(LIMIT);
    let mut worker = Worker::start(&container.group);
    let agent = run(&tree);
    let kills = |page: &crate::Page| page.value(KILLS, &container.labels());
    assert_eq!(kills(&agent.fresh()), Some(0.0));
    for count in [1, 2_u32] {
        assert_eq!(worker.order("child 64"), "signal 9");
        assert_eq!(kills(&agent.fresh()), Some(count.into()));
        assert_eq!(oom_kills(&container.group), Some(count.into()));
    }
    // The hits of the limit that led there are told as well.
    let page = agree(&container, MEMORY_EVENTS, || once(&tree));
    assert!(page.value("container_memory_failcnt", &container.labels()) > Some(0.0));
    worker.order("burn");
    Ok(())
}

/// Has the OOM killer end the container's only process.
fn kill(container: &Container) {
    container.group.limit_memory(LIMIT);
    let mut worker = Worker::start(&container.group);
    worker.begin("hold 64");
    assert_eq!(worker.ended(), Some(KILL));
    // The cgroup's count may follow the process's end.
    until("the kernel's count", || (oom_kills(&container.group)? == 1).then_some(()));
}

fn replaced_late() -> Shown {
    replaced(true)
}

fn replaced_at_once() -> Shown {
    replaced(false)
}

/// A pod whose container is killed whole and started again; the kernel's count is seen in between or not.
fn replaced(is_seen: bool) -> Shown {
    let tree = Tree::make();
    let api = Api::start();
    let old = tree.container();
    let mut pod = Pod::new("oom", &old.uid, &old.id);
    api.apply(&pod);
    let agent = api.run(&tree);
    let total = |page: &crate::Page| page.value(KILLS, &pod.labels());
    let page = agent.page_with("the pod's name", |page| total(page).is_some());
    assert_eq!(total(&page), Some(0.0));

    if is_seen {
        kill(&old);
        // However long the dead container lies there.
        for _ in 0..3 {
            assert_eq!(total(&agent.fresh()), Some(1.0));
        }
    } else {
        // A container that no tick ever saw alive and killed: made, killed and gone between two ticks.
        old.group.remove();
        let unseen = tree.container_of(&old.uid);
        kill(&unseen);
        unseen.group.remove();
        pod.killed = Some(unseen.id.clone());
    }
    if is_seen {
        old.group.remove();
        pod.killed = Some(old.id.clone());
    }
    let new = tree.container_of(&old.uid);
    let mut worker = Worker::start(&new.group);
    worker.order("burn");
    pod.id.clone_from(&new.id);
    api.apply(&pod);

    let restarts = "kube_pod_container_status_restarts_total";
    let page =
        agent.page_with("the restart", |page| page.value(restarts, &pod.labels()) == Some(1.0));
    assert_eq!(page.value(KILLS, &pod.labels()), Some(1.0));
    let page = agent.fresh();
    assert_eq!(page.value(KILLS, &pod.labels()), Some(1.0));
    assert!(page.value("container_cpu_usage_seconds_total", &pod.labels()) > Some(0.0));
    assert_eq!(oom_kills(&new.group), Some(0));
    Ok(())
}
