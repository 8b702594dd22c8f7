//! Pods of every owner, pods that end, and containers that come before the others.

use std::time::Duration;

use crate::cluster::page::Page;
use crate::cluster::suite::{SOON, START, Suite};
use crate::cluster::wait;

const WORKLOADS: &str = include_str!("../manifests/workloads.yaml");
const INIT: &str = include_str!("../manifests/init.yaml");
const USAGE: &str = "container_cpu_usage_seconds_total";
/// A CronJob's next minute, its controller's ten seconds, and a start.
const NEXT_MINUTE: Duration = Duration::from_secs(130);

/// The value of a one-hot state.
fn phase(page: &Page, pod: &str, phase: &str) -> Option<f64> {
    page.value("kube_pod_status_phase", &[("pod", pod), ("phase", phase)])
}

pub(crate) fn pods_of_a_cron_job_are_named_after_it(suite: &Suite) {
    let _steady = suite.steady();
    suite.apply(WORKLOADS);
    let pod = suite.recorder.until("a pod of the CronJob", NEXT_MINUTE, |page| {
        let series = page
            .all(
                USAGE,
                &[("workload_kind", "CronJob"), ("workload", "every-minute"), ("container", "app")],
            )
            .next()?;
        Some(series.label("pod").to_owned())
    });
    assert!(pod.starts_with("every-minute-"), "{pod}");
    let page = suite.recorder.fresh();
    let info = page.one("kube_pod_info", &[("pod", &pod)]).expect("it is known");
    assert_eq!(info.label("created_by_kind"), "Job");
    suite.kubectl(&["delete", "cronjob", "every-minute"]);
}

pub(crate) fn workload_of_every_kind_of_owner_is_named(suite: &Suite) {
    let _steady = suite.steady();
    suite.apply(WORKLOADS);
    for (kind, name, label) in [
        ("StatefulSet", "store", "app=store"),
        ("DaemonSet", "everywhere", "app=everywhere"),
        ("ReplicaSet", "alone", "app=alone"),
    ] {
        let pod = suite.pod_with(label);
        suite.running(&pod, "app");
        let labels =
            [("pod", &*pod), ("container", "app"), ("workload", name), ("workload_kind", kind)];
        let page = suite.recorder.until(&format!("a pod of the {kind}"), SOON, |page| {
            page.one(USAGE, &labels)?;
            Some(page.clone())
        });
        let hashes = page.series.iter().filter(|series| series.label("pod") == pod);
        let hash = hashes
            .flat_map(|series| series.labels.keys())
            .find(|name| name.contains("hash") || name.contains("pod_name"));
        assert_eq!(hash, None, "a label that nobody asked for");
    }
}

pub(crate) fn job_pod_that_completed_has_its_state_and_no_usage(suite: &Suite) {
    let _steady = suite.steady();
    suite.apply(WORKLOADS);
    let pod = suite.pod_with("job-name=once");
    let container = suite.running(&pod, "app");
    let of_app =
        [("pod", &*pod), ("container", "app"), ("workload", "once"), ("workload_kind", "Job")];
    suite.recorder.until("its usage", SOON, |page| {
        (page.one(USAGE, &of_app).is_some() && phase(page, &pod, "Running") == Some(1.0))
            .then_some(())
    });

    container.touch("/tmp/go");
    suite.recorder.until("its end", START, |page| {
        (phase(page, &pod, "Succeeded") == Some(1.0)).then_some(())
    });
    wait::until("its cgroup to go", START, || {
        crate::cluster::kernel::pod_folder("memory", &container.pod)
            .is_none_or(|pod| !pod.join(&container.id).exists())
            .then_some(())
    });
    let page = suite.recorder.fresh();
    let ended = page.one("kube_pod_container_status_terminated_reason", &of_app).expect("it ended");
    assert_eq!(ended.label("reason"), "Completed");
    assert_eq!(page.value("kube_pod_container_status_running", &of_app), Some(0.0));
    for name in [
        USAGE,
        "container_memory_usage_bytes",
        "container_start_time_seconds",
        "podmeter_memory_limit_ratio",
    ] {
        assert_eq!(page.all(name, &[("pod", &pod)]).count(), 0, "{name} of a container that ended");
    }
}

pub(crate) fn init_container_has_its_own_series_and_sets_the_pods_request(suite: &Suite) {
    let _steady = suite.steady();
    suite.apply(INIT);
    let init = suite.running("prepared", "prepare");
    let of = |container| [("pod", "prepared"), ("container", container)];
    let page = suite.recorder.until("the init container's usage", SOON, |page| {
        page.one(USAGE, &of("prepare"))?;
        (page.value("kube_pod_init_container_status_running", &of("prepare")) == Some(1.0))
            .then(|| page.clone())
    });
    assert_eq!(
        page.value("container_spec_memory_limit_bytes", &of("prepare")),
        Some(16.0 * 1024.0 * 1024.0)
    );
    assert_eq!(page.one(USAGE, &of("app")).map(|series| series.value), None, "it has not started");
    assert_eq!(page.value("kube_pod_container_status_waiting", &of("app")), Some(1.0));
    check_amounts(&page);

    init.touch("/tmp/go");
    suite.running("prepared", "app");
    let page = suite.recorder.until("the container after it", SOON, |page| {
        page.one(USAGE, &of("app"))?;
        let ended = page.one("kube_pod_init_container_status_terminated_reason", &of("prepare"))?;
        (ended.label("reason") == "Completed" && page.one(USAGE, &of("prepare")).is_none())
            .then(|| page.clone())
    });
    assert_eq!(page.value("kube_pod_init_container_status_ready", &of("prepare")), Some(1.0));
    check_amounts(&page);
}

/// What the spec gives for each container, and for the pod: the larger of the two for each resource.
fn check_amounts(page: &Page) {
    let mib = 1024.0 * 1024.0;
    for (name, container, resource, expected) in [
        ("kube_pod_init_container_resource_requests", "prepare", "cpu", 0.03),
        ("kube_pod_init_container_resource_requests", "prepare", "memory", 8.0 * mib),
        ("kube_pod_init_container_resource_limits", "prepare", "cpu", 0.3),
        ("kube_pod_init_container_resource_limits", "prepare", "memory", 16.0 * mib),
        ("kube_pod_container_resource_requests", "app", "cpu", 0.01),
        ("kube_pod_container_resource_limits", "app", "memory", 32.0 * mib),
        ("kube_pod_resource_request", "", "cpu", 0.03),
        ("kube_pod_resource_request", "", "memory", 12.0 * mib),
        ("kube_pod_resource_limit", "", "cpu", 0.3),
        ("kube_pod_resource_limit", "", "memory", 32.0 * mib),
    ] {
        let labels = [("pod", "prepared"), ("container", container), ("resource", resource)];
        assert_eq!(page.value(name, &labels), Some(expected), "{name} {resource} of {container:?}");
    }
    let mixed = page
        .all(
            "kube_pod_container_resource_requests",
            &[("pod", "prepared"), ("container", "prepare")],
        )
        .count();
    assert_eq!(mixed, 0, "init containers have names of their own");
}
