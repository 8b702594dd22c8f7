//! Tasks and their limit.

use crate::cgroups::Tree;
use crate::truth::{PIDS, agree};
use crate::worker::Worker;
use crate::{Case, Shown, once};

pub(crate) const CASES: &[Case] =
    &[("tasks::threads_and_their_limit_equal_the_kernels_files", threads)];

fn threads() -> Shown {
    let tree = Tree::make();
    let container = tree.container();
    let mut worker = Worker::start(&container.group);
    worker.order("threads 5");
    let page = agree(&container, PIDS, || once(&tree));
    assert_eq!(page.value("container_threads", &container.labels()), Some(6.0));
    assert_eq!(page.value("container_threads_max", &container.labels()), None);

    container.group.write("pids.max", 77);
    let page = agree(&container, PIDS, || once(&tree));
    assert_eq!(page.value("container_threads_max", &container.labels()), Some(77.0));
    Ok(())
}
