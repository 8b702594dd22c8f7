//! Whose series they are: labels, requests, limits, and pods that the API server knows by another uid.

use std::fs;

use crate::cluster::kernel::pod_folder;
use crate::cluster::suite::{SOON, START, Suite};

const API: &str = include_str!("../manifests/api.yaml");
const STATIC: &str = include_str!("../manifests/static.yaml");

/// Labels of every container series of the Deployment, less pod and node.
const LABELS: [(&str, &str); 10] = [
    ("container", "app"),
    ("workload", "fl-api"),
    ("workload_kind", "Deployment"),
    ("label_app", "fl-api"),
    ("label_application", "fl-backend-rails"),
    ("label_component", "api"),
    ("label_role", "api"),
    ("label_version", "canary"),
    ("label_app_kubernetes_io_name", "bodyweight"),
    ("annotation_team", "growth"),
];

/// Families of a container that this kernel and this spec must give.
const FAMILIES: [&str; 14] = [
    "container_cpu_usage_seconds_total",
    "container_cpu_cfs_throttled_periods_total",
    "container_memory_usage_bytes",
    "container_memory_working_set_bytes",
    "container_memory_failures_total",
    "container_spec_memory_limit_bytes",
    "container_oom_events_total",
    "container_threads",
    "container_start_time_seconds",
    "kube_pod_container_resource_requests",
    "kube_pod_container_resource_limits",
    "kube_pod_container_status_restarts_total",
    "podmeter_memory_limit_ratio",
    "podmeter_cpu_limit_ratio",
];

/// The Deployment's pod, running.
pub(crate) fn api(suite: &Suite) -> String {
    suite.apply(API);
    let pod = suite.pod_with("app=fl-api");
    suite.running(&pod, "app");
    pod
}

pub(crate) fn labels_and_annotations_are_on_every_series_of_a_deployments_container(suite: &Suite) {
    let _steady = suite.steady();
    let pod = api(suite);
    let of_app = [("pod", &*pod), ("container", "app")];
    let page = suite.recorder.until("every family", SOON, |page| {
        let has_all = FAMILIES.iter().all(|name| page.all(name, &of_app).next().is_some());
        has_all.then(|| page.clone())
    });
    let series: Vec<_> = page
        .series
        .iter()
        .filter(|series| series.label("pod") == pod && series.label("container") == "app")
        .collect();
    assert!(series.len() >= 40, "{} series", series.len());
    for series in series {
        assert_eq!(series.label("namespace"), suite.namespace.name);
        assert_eq!(series.label("node"), "node1");
        for (name, value) in LABELS {
            assert_eq!(series.label(name), value, "{name} of {series:?}");
        }
        let own = |name: &&String| name.starts_with("label_") || name.starts_with("annotation_");
        // No hash, no long annotation, none with a domain.
        assert_eq!(series.labels.keys().filter(own).count(), 7, "{series:?}");
    }
    // Those of the pod itself carry the same but no container.
    let of_pod: Vec<_> = page
        .series
        .iter()
        .filter(|series| series.label("pod") == pod && series.label("container").is_empty())
        .collect();
    assert!(of_pod.len() >= 40, "{} series", of_pod.len());
    for series in of_pod {
        for (name, value) in &LABELS[1..] {
            assert_eq!(series.label(name), *value, "{name} of {series:?}");
        }
        assert!(
            !series.name.starts_with("container_") || series.name.starts_with("container_network_"),
            "{series:?}"
        );
    }
}

pub(crate) fn requests_and_limits_are_those_of_the_spec_and_of_the_kernel(suite: &Suite) {
    let _steady = suite.steady();
    let pod = api(suite);
    let container = suite.running(&pod, "app");
    let page = suite.recorder.until("its quota", SOON, |page| {
        page.value("container_spec_cpu_quota", &[("pod", &pod), ("container", "app")])?;
        Some(page.clone())
    });
    let amount = |name, resource| {
        page.value(name, &[("pod", &pod), ("container", "app"), ("resource", resource)])
    };
    let (requests, limits) =
        ("kube_pod_container_resource_requests", "kube_pod_container_resource_limits");
    assert_eq!(amount(requests, "cpu"), Some(0.07));
    assert_eq!(amount(requests, "memory"), Some(160.0 * 1024.0 * 1024.0));
    assert_eq!(amount(limits, "cpu"), Some(0.11));
    assert_eq!(amount(limits, "memory"), Some(200.0 * 1024.0 * 1024.0));

    let enforced = |name| {
        page.value(name, &[("pod", &pod), ("container", "app")])
            .unwrap_or_else(|| panic!("no {name}"))
    };
    let same = [
        ("container_spec_cpu_quota", container.number("cpu", "cpu.cfs_quota_us"), 11_000.0),
        ("container_spec_cpu_period", container.number("cpu", "cpu.cfs_period_us"), 100_000.0),
        ("container_spec_cpu_shares", container.number("cpu", "cpu.shares"), 71.0),
        (
            "container_spec_memory_limit_bytes",
            container.number("memory", "memory.limit_in_bytes"),
            209_715_200.0,
        ),
    ];
    for (name, kernel, expected) in same {
        assert_eq!((enforced(name), kernel), (expected, expected), "{name}");
    }
    let pod_only = |name, resource| page.value(name, &[("pod", &pod), ("resource", resource)]);
    assert_eq!(pod_only("kube_pod_resource_request", "cpu"), Some(0.07));
    assert_eq!(pod_only("kube_pod_resource_limit", "memory"), Some(209_715_200.0));
}

pub(crate) fn static_pod_is_found_by_its_config_hash(suite: &Suite) {
    let _steady = suite.steady();
    let file = suite.static_pods.folder.join("static.yaml");
    fs::write(&file, STATIC.replace("NAMESPACE", &suite.namespace.name))
        .expect("the folder is there");
    let container = suite.running("static-node1", "app");
    assert_eq!(container.pod.len(), 32, "{} is no hash", container.pod);
    assert!(pod_folder("memory", &container.pod).is_some());
    let mirror = suite.pod("static-node1").expect("it has a mirror");
    let uid = mirror["metadata"]["uid"].as_str().expect("a uid");
    assert_ne!(uid.replace('-', ""), container.pod, "the mirror has a uid of its own");

    let labels = [
        ("pod", "static-node1"),
        ("container", "app"),
        ("workload", "static"),
        ("workload_kind", "StaticPod"),
        ("label_application", "control"),
    ];
    suite.recorder.until("the static pod's usage under its name", SOON, |page| {
        page.value("container_cpu_usage_seconds_total", &labels)?;
        page.value("pod_cpu_usage_seconds_total", &[("pod", "static-node1")])?;
        page.one("container_network_receive_bytes_total", &[("pod", "static-node1")])?;
        (page.one("kube_pod_info", &[("pod", "static-node1")])?.label("uid") == uid).then_some(())
    });
    let usage =
        suite.recorder.latest().value("container_memory_usage_bytes", &labels).expect("it runs");
    assert!(usage > 0.0);

    fs::remove_file(&file).expect("it was written");
    suite.recorder.until("the static pod's series to end", START, |page| {
        let is_left = page
            .series
            .iter()
            .any(|series| series.label("pod") == "static-node1" || series.label("uid") == uid);
        (!is_left).then_some(())
    });
}
