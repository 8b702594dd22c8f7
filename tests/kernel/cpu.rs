//! CPU time, bandwidth limits and what they cost.

use std::time::Duration;

use crate::cgroups::Tree;
use crate::podmeter::until;
use crate::truth::{CPU, THROTTLING, agree, between};
use crate::worker::Worker;
use crate::{Case, Shown, once, run};

pub(crate) const CASES: &[Case] = &[
    ("cpu::time_equals_the_kernels_files_in_user_and_system_mode", time),
    ("cpu::time_of_a_busy_container_grows_from_scrape_to_scrape", busy),
    ("cpu::periods_are_absent_without_a_limit", unlimited),
    ("cpu::throttled_periods_and_seconds_grow_over_the_limit", throttled),
];

const USAGE: &str = "container_cpu_usage_seconds_total";

fn time() -> Shown {
    let tree = Tree::make();
    let container = tree.container();
    let mut worker = Worker::start(&container.group);
    for (order, truth) in [("burn", CPU[1].1), ("call", CPU[2].1)] {
        let before = truth(&container.group).unwrap();
        until(order, || {
            worker.order(order);
            (truth(&container.group).unwrap() >= before + 0.05).then_some(())
        });
    }
    agree(&container, CPU, || once(&tree));
    Ok(())
}

fn busy() -> Shown {
    let tree = Tree::make();
    let container = tree.container();
    let mut worker = Worker::start(&container.group);
    worker.order("spin");
    let agent = run(&tree);
    let usage = |page: &crate::Page| page.value(USAGE, &container.labels()).unwrap();
    let first = usage(&between(&container, CPU, || agent.fresh()));
    let second = usage(&between(&container, CPU, || agent.fresh()));
    assert!(second > first, "{second} after {first}");
    Ok(())
}

fn unlimited() -> Shown {
    let tree = Tree::make();
    let container = tree.container();
    let _worker = Worker::start(&container.group);
    let page = once(&tree);
    for (name, _) in &THROTTLING[..4] {
        assert_eq!(page.value(name, &container.labels()), None, "{name}");
    }
    assert_eq!(page.value("container_spec_cpu_period", &container.labels()), Some(100_000.0));
    Ok(())
}

fn throttled() -> Shown {
    let tree = Tree::make();
    let container = tree.container();
    container.group.limit_cpu(Duration::from_millis(10));
    let mut worker = Worker::start(&container.group);
    worker.order("spin");
    until("throttled periods", || {
        (container.group.key("cpu.stat", "nr_throttled")? >= 3).then_some(())
    });
    let page = between(&container, THROTTLING, || once(&tree));
    assert!(
        page.value("container_cpu_cfs_throttled_seconds_total", &container.labels()).unwrap() > 0.0
    );
    drop(worker);
    agree(&container, THROTTLING, || once(&tree));
    Ok(())
}
