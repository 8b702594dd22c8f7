//! Pressure stall information.

use std::time::Duration;

use crate::cgroups::{Tree, Version, version};
use crate::podmeter::until;
use crate::truth::{PRESSURE, agree};
use crate::worker::Worker;
use crate::{Case, Shown, once};

pub(crate) const CASES: &[Case] = &[
    ("pressure::totals_equal_the_kernels_files", totals),
    ("pressure::absence_on_cgroup_v1_is_no_error", absent),
];

fn totals() -> Shown {
    if version() == Version::V1 {
        return Err("cgroup v1 has no pressure files".into());
    }
    let tree = Tree::make();
    let container = tree.container();
    container.group.limit_cpu(Duration::from_millis(10));
    let mut worker = Worker::start(&container.group);
    worker.order("spin");
    // Being throttled is waiting for a CPU.
    let waiting = PRESSURE[0].1;
    until("pressure", || (waiting(&container.group)? >= 0.1).then_some(()));
    drop(worker);

    container.group.limit_cpu(Duration::from_millis(100));
    container.group.write("memory.high", 8 << 20);
    let mut worker = Worker::start(&container.group);
    worker.order("hold 9");
    let page = agree(&container, PRESSURE, || once(&tree));
    for (name, _) in &PRESSURE[..3] {
        assert!(page.value(name, &container.labels()) > Some(0.0), "{name}");
    }
    Ok(())
}

fn absent() -> Shown {
    if version() == Version::V2 {
        return Err("cgroup v2 has pressure files".into());
    }
    let tree = Tree::make();
    let container = tree.container();
    let _worker = Worker::start(&container.group);
    let page = agree(&container, PRESSURE, || once(&tree));
    let errors = [("source", "cgroup")];
    let counts: Vec<_> = page.samples("podmeter_read_errors_total", &errors).collect();
    assert!(!counts.is_empty() && counts.iter().all(|sample| sample.value == 0.0), "{counts:?}");
    Ok(())
}
