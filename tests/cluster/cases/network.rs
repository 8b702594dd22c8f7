//! A pod's own interfaces, and only those.

use crate::cluster::page::Page;
use crate::cluster::suite::{SOON, START, Suite};
use crate::cluster::wait;

const VALUES: &str = include_str!("../manifests/values.yaml");
/// Families by their column in `/proc/net/dev`.
const COLUMNS: [(&str, usize); 8] = [
    ("container_network_receive_bytes_total", 0),
    ("container_network_receive_packets_total", 1),
    ("container_network_receive_errors_total", 2),
    ("container_network_receive_packets_dropped_total", 3),
    ("container_network_transmit_bytes_total", 8),
    ("container_network_transmit_packets_total", 9),
    ("container_network_transmit_errors_total", 10),
    ("container_network_transmit_packets_dropped_total", 11),
];

pub(crate) fn interfaces_are_counted_once_and_never_for_the_hosts_network(suite: &Suite) {
    let _steady = suite.steady();
    suite.apply(VALUES);
    let containers = ["holder", "server"].map(|pod| (pod, suite.running(pod, "app")));
    suite.running("host-server", "app");
    let server = &containers[1].1;
    wait::until("the server's page", START, || server.has("/tmp/page").then_some(()));
    let address = suite.pod("server").expect("it runs")["status"]["podIP"].clone();
    let url = format!("http://{}:8080/page", address.as_str().expect("an address"));
    suite.kubectl(&["exec", "holder", "--", "wget", "-qO", "/dev/null", &url]);
    for (pod, container) in containers {
        suite.recorder.until("its interfaces", START, |page| {
            page.all(COLUMNS[0].0, &[("pod", pod)]).next().map(drop)
        });
        let before = container.interfaces();
        let page = suite.recorder.fresh();
        let after = container.interfaces();
        assert_eq!(before.keys().collect::<Vec<_>>(), ["eth0"]);
        for (name, column) in COLUMNS {
            let names: Vec<_> =
                page.all(name, &[("pod", pod)]).map(|series| series.label("interface")).collect();
            assert_eq!(names, ["eth0"], "{name} of {pod}");
            let ours =
                page.value(name, &[("pod", pod), ("interface", "eth0")]).expect("it is there");
            let [low, high] = [&before, &after].map(|interfaces| interfaces["eth0"][column] as f64);
            assert!(low <= ours && ours <= high, "{name} of {pod}: {low} .. {ours} .. {high}");
        }
    }
    let page = suite.recorder.latest();
    for (pod, name) in [("holder", COLUMNS[0].0), ("server", COLUMNS[4].0)] {
        let bytes = page.value(name, &[("pod", pod)]);
        assert!(bytes >= Some(3_000_000.0), "the page went over the network: {bytes:?}");
    }
    let has_usage = |page: &Page| {
        page.all("container_cpu_usage_seconds_total", &[("pod", "host-server")]).count()
    };
    let page = suite
        .recorder
        .until("the host's pod", SOON, |page| (has_usage(page) == 1).then(|| page.clone()));
    let networked = page
        .series
        .iter()
        .find(|series| series.name.contains("network") && series.label("pod") == "host-server");
    assert!(networked.is_none(), "{networked:?}");
    let info = page.one("kube_pod_info", &[("pod", "host-server")]).expect("it is known");
    assert_eq!(info.label("host_network"), "true");
    // The node's own interfaces are the node's series.
    assert!(page.all("node_network_receive_bytes_total", &[("device", "cni0")]).next().is_some());
}
