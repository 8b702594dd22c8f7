//! Numbers against two witnesses: the kernel's files, and the kubelet's own `/metrics/cadvisor`.

use crate::cluster::cases::identity::api;
use crate::cluster::kernel::Container;
use crate::cluster::page::{Page, Series};
use crate::cluster::suite::{SOON, START, Suite};
use crate::cluster::wait;

const VALUES: &str = include_str!("../manifests/values.yaml");
const KUBELET: &str = "/api/v1/nodes/node1/proxy/metrics/cadvisor";
/// Counters that both have by one name and meaning.
const COUNTERS: [&str; 18] = [
    "container_cpu_usage_seconds_total",
    "container_cpu_user_seconds_total",
    "container_cpu_system_seconds_total",
    "container_cpu_cfs_periods_total",
    "container_cpu_cfs_throttled_periods_total",
    "container_cpu_cfs_throttled_seconds_total",
    "container_memory_failcnt",
    "container_memory_failures_total",
    "container_fs_writes_bytes_total",
    "container_fs_reads_bytes_total",
    "container_network_receive_bytes_total",
    "container_network_receive_packets_total",
    "container_network_receive_errors_total",
    "container_network_receive_packets_dropped_total",
    "container_network_transmit_bytes_total",
    "container_network_transmit_packets_total",
    "container_network_transmit_errors_total",
    "container_network_transmit_packets_dropped_total",
];
/// What stays as it is while a container runs.
const CONSTANTS: [&str; 4] = [
    "container_spec_cpu_quota",
    "container_spec_cpu_period",
    "container_spec_cpu_shares",
    "container_spec_memory_limit_bytes",
];
/// The kernel charges memory in batches for each CPU: two readings may differ by so much with nothing done.
const BATCHES: f64 = 512.0 * 1024.0;
/// How old the kubelet's samples may be, and twice that.
const KUBELET_PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// The pods with known numbers, ready.
fn prepare(suite: &Suite) -> Container {
    suite.apply(VALUES);
    let holder = suite.running("holder", "app");
    wait::until("the holder holds", START, || holder.has("/tmp/ready").then_some(()));
    holder
}

/// The kubelet's page, once all samples of these pods are newer than `since`.
fn kubelet(suite: &Suite, pods: &[&str], since: f64) -> Page {
    wait::until("newer samples of the kubelet", KUBELET_PATIENCE, || {
        let page = Page::read(&suite.tool().kubectl(&["get", "--raw", KUBELET])).expect("a page");
        let is_new = |pod: &&str| {
            let mut times = page.series.iter().filter(|series| {
                series.label("pod") == *pod && !series.label("container").is_empty()
            });
            times.clone().count() > 0
                && times.all(|series| series.time.is_some_and(|time| time > since))
        };
        let is_complete = pods.iter().all(|pod| {
            is_new(pod)
                && page
                    .all("container_memory_usage_bytes", &[("pod", pod), ("container", "app")])
                    .next()
                    .is_some()
        });
        is_complete.then_some(page)
    })
}

/// The labels that tell the kubelet's series of one name apart, as Podmeter has them.
fn key(series: &Series) -> Vec<(&str, &str)> {
    let names = ["namespace", "pod", "container", "interface", "device", "failure_type", "scope"];
    let pairs = names.iter().map(|name| (*name, series.label(name)));
    // The kubelet has a pod's network under its sandbox.
    pairs.map(|(name, value)| (name, if value == "POD" { "" } else { value })).collect()
}

pub(crate) fn counters_lie_between_two_samples_of_the_kubelets(suite: &Suite) {
    let _steady = suite.steady();
    prepare(suite);
    let busy = api(suite);
    let server = suite.running("server", "app");
    suite.running("host-server", "app");
    wait::until("the server's page", START, || server.has("/tmp/page").then_some(()));
    suite.kubectl(&[
        "exec",
        "holder",
        "--",
        "sh",
        "-c",
        &format!("wget -qO /dev/null http://{}:8080/page", address(suite, "server")),
    ]);

    let pods = [&*busy, "holder", "server"];
    let before = suite.recorder.fresh();
    let witness = kubelet(suite, &pods, before.unix);
    let after = suite.recorder.fresh();
    let mut seen = std::collections::BTreeMap::new();
    for name in COUNTERS {
        for theirs in witness.all(name, &[("namespace", &suite.namespace.name)]) {
            let is_ours =
                pods.contains(&theirs.label("pod")) && !theirs.label("container").is_empty();
            // Sandboxes have no series of their own here, but for the network.
            let is_sandbox =
                theirs.label("container") == "POD" && !name.starts_with("container_network");
            if !is_ours || is_sandbox || (theirs.label("scope") == "container") {
                continue;
            }
            let labels = key(theirs);
            let [low, high] = [&before, &after].map(|page| {
                page.value(name, &labels)
                    .unwrap_or_else(|| panic!("{name}{labels:?} is the kubelet's only"))
            });
            assert!(
                low <= theirs.value && theirs.value <= high,
                "{name}{labels:?}: {low} .. {} .. {high}",
                theirs.value
            );
            let best: &mut f64 = seen.entry(name).or_default();
            *best = best.max(theirs.value);
        }
        assert!(seen.contains_key(name), "the kubelet has no {name} to compare with");
    }
    for name in [
        "container_cpu_cfs_throttled_periods_total",
        "container_network_transmit_bytes_total",
        "container_fs_writes_bytes_total",
    ] {
        assert!(seen[name] > 0.0, "{name} was compared at 0 only");
    }
    assert!(
        seen["container_network_transmit_bytes_total"] > 3_000_000.0,
        "the page went over the network"
    );
    for name in CONSTANTS {
        for pod in pods {
            let of_app = [("pod", pod), ("container", "app")];
            // The kubelet leaves the quota out where there is none, as we do.
            assert_eq!(after.value(name, &of_app), witness.value(name, &of_app), "{name} of {pod}");
        }
    }
    for name in ["machine_cpu_cores", "machine_memory_bytes"] {
        assert_eq!(after.value(name, &[]), witness.value(name, &[]), "{name}");
    }
}

fn address(suite: &Suite, pod: &str) -> String {
    wait::until("its address", START, || {
        suite.pod(pod)?["status"]["podIP"].as_str().map(str::to_owned)
    })
}

pub(crate) fn memory_is_what_the_kernel_and_the_kubelet_say(suite: &Suite) {
    let _steady = suite.steady();
    let holder = prepare(suite);
    let kernel = || {
        let stat = |key| holder.stat("memory", "memory.stat", key);
        let usage = holder.number("memory", "memory.usage_in_bytes");
        [
            ("container_memory_usage_bytes", usage),
            ("container_memory_working_set_bytes", (usage - stat("total_inactive_file")).max(0.0)),
            ("container_memory_rss", stat("total_rss")),
            ("container_memory_cache", stat("total_cache")),
            ("container_memory_mapped_file", stat("total_mapped_file")),
            ("container_memory_swap", stat("total_swap")),
            (
                "container_memory_max_usage_bytes",
                holder.number("memory", "memory.max_usage_in_bytes"),
            ),
        ]
    };
    let before = kernel();
    let page = suite.recorder.fresh();
    let after = kernel();
    let of_holder = [("pod", "holder"), ("container", "app")];
    for ((name, low), (_, high)) in before.iter().zip(after) {
        let ours = page.value(name, &of_holder).unwrap_or_else(|| panic!("no {name}"));
        let (low, high) = (low.min(high), low.max(high));
        assert!(low <= ours && ours <= high, "{name}: the kernel says {low} to {high}, we {ours}");
    }
    let ours = |name| page.value(name, &of_holder).expect("it is there");
    assert!(ours("container_memory_cache") >= 24.0 * 1024.0 * 1024.0, "tmpfs and page cache");
    assert!(ours("container_memory_rss") >= 6_000_000.0, "the shell's variable");
    let inactive =
        ours("container_memory_usage_bytes") - ours("container_memory_working_set_bytes");
    assert!(
        inactive >= 4.0 * 1024.0 * 1024.0,
        "what was written to disk can be given back: {inactive}"
    );
    let limit = 64.0 * 1024.0 * 1024.0;
    let ratio = page.value(
        "podmeter_memory_limit_ratio",
        &[("pod", "holder"), ("container", "app"), ("basis", "working_set")],
    );
    assert_eq!(ratio, Some(ours("container_memory_working_set_bytes") / limit));

    let witness = kubelet(suite, &["holder"], page.unix);
    for (name, _) in after {
        let theirs =
            witness.value(name, &of_holder).unwrap_or_else(|| panic!("the kubelet has no {name}"));
        assert!(
            (theirs - ours(name)).abs() <= BATCHES,
            "{name}: the kubelet says {theirs}, we {}",
            ours(name)
        );
    }
    let started = "container_start_time_seconds";
    let [ours, theirs] =
        [&page, &witness].map(|page| page.value(started, &of_holder).expect("it runs"));
    assert!((ours - theirs).abs() <= 5.0, "{started}: the kubelet says {theirs}, we {ours}");
}

pub(crate) fn container_over_its_cpu_limit_shows_the_kernels_throttling(suite: &Suite) {
    let _steady = suite.steady();
    let pod = api(suite);
    let container = suite.running(&pod, "app");
    wait::until("it is throttled", SOON, || {
        (container.stat("cpu", "cpu.stat", "nr_throttled") >= 20.0).then_some(())
    });
    let kernel = || {
        let stat = |key| container.stat("cpu", "cpu.stat", key);
        [
            (
                "container_cpu_usage_seconds_total",
                container.number("cpuacct", "cpuacct.usage") / 1e9,
            ),
            ("container_cpu_cfs_periods_total", stat("nr_periods")),
            ("container_cpu_cfs_throttled_periods_total", stat("nr_throttled")),
            ("container_cpu_cfs_throttled_seconds_total", stat("throttled_time") / 1e9),
        ]
    };
    let of_app = [("pod", &*pod), ("container", "app")];
    let before = kernel();
    let page = suite.recorder.fresh();
    let after = kernel();
    for ((name, low), (_, high)) in before.iter().zip(after) {
        let ours = page.value(name, &of_app).unwrap_or_else(|| panic!("no {name}"));
        assert!(*low <= ours && ours <= high, "{name}: the kernel says {low} to {high}, we {ours}");
    }
    // A loop without a pause takes all it may have.
    suite.recorder.until("CPU at its limit", SOON, |page| {
        let ratio = page.value("podmeter_cpu_limit_ratio", &of_app)?;
        (0.8..1.2).contains(&ratio).then_some(())
    });
}
