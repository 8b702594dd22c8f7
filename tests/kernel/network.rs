//! The interfaces of a pod, counted in its own network namespace.

use crate::cgroups::Tree;
use crate::pods::{Api, Pod};
use crate::worker::Worker;
use crate::{Case, Shown};

pub(crate) const CASES: &[Case] = &[
    ("network::pod_has_the_counters_of_its_own_namespace", own),
    ("network::pod_on_the_hosts_network_has_none", host),
];

const SENT: &str = "container_network_transmit_bytes_total";

/// A pod's network series, whatever their name.
fn series<'a>(
    page: &'a crate::Page,
    pod: &'a [(&'a str, &'a str)],
) -> Vec<&'a crate::page::Sample> {
    page.all(pod).filter(|sample| sample.name.starts_with("container_network_")).collect()
}

fn own() -> Shown {
    let tree = Tree::make();
    let container = tree.container();
    let mut worker = Worker::isolated(&container.group);
    let pod = Pod::new("own", &container.uid, &container.id);
    let api = Api::start();
    api.apply(&pod);
    // Loopback traffic is nobody's business: a namespace with nothing else has no series.
    let labels = [("namespace", "kernel"), ("pod", pod.name)];
    assert_eq!(series(&api.once(&tree), &labels), Vec::<&crate::page::Sample>::new());

    for setup in [
        "run ip link add eth0 type veth peer name eth1",
        "run ip addr add 10.123.0.1/24 dev eth0",
        "run ip link set eth0 up",
        "run ip link set eth1 up",
        "run ip neigh add 10.123.0.9 lladdr 02:00:00:00:00:09 dev eth0",
    ] {
        if worker.order(setup) != "0" {
            return Err(format!("no interface can be made here: {setup}"));
        }
    }
    worker.order("send 10.123.0.9:9 100 1000");
    let mut before = String::new();
    let page = crate::podmeter::until("a page around which no packet was sent", || {
        let said = worker.order("read /proc/self/net/dev");
        let page = api.once(&tree);
        before = worker.order("read /proc/self/net/dev");
        (said == before).then_some(page)
    });
    for (name, interface, column) in [
        ("container_network_receive_bytes_total", "eth0", 0),
        ("container_network_receive_packets_total", "eth1", 1),
        (SENT, "eth0", 8),
        ("container_network_transmit_packets_total", "eth0", 9),
    ] {
        let line = before
            .split("\\n")
            .find_map(|line| line.trim().strip_prefix(interface)?.strip_prefix(':'));
        let truth: f64 = line.unwrap().split_whitespace().nth(column).unwrap().parse().unwrap();
        let mut labels = labels.to_vec();
        labels.push(("interface", interface));
        assert_eq!(page.value(name, &labels), Some(truth), "{name} {interface}");
    }
    let sent: f64 = page.value(SENT, &[("pod", pod.name), ("interface", "eth0")]).unwrap();
    assert!(sent >= 100_000.0, "{sent}");
    Ok(())
}

fn host() -> Shown {
    let tree = Tree::make();
    let container = tree.container();
    let _worker = Worker::start(&container.group);
    let pod = Pod { host_network: true, ..Pod::new("host", &container.uid, &container.id) };
    let api = Api::start();
    api.apply(&pod);
    let page = api.once(&tree);
    let labels = [("namespace", "kernel"), ("pod", pod.name)];
    assert!(page.value("container_cpu_usage_seconds_total", &labels).is_some());
    assert_eq!(series(&page, &labels), Vec::<&crate::page::Sample>::new());
    Ok(())
}
