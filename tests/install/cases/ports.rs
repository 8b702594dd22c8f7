//! The proxy on a port of the node.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::cluster::client::Target;
use crate::cluster::page::Page;
use crate::cluster::wait;
use crate::install::leftovers;
use crate::install::reader::reader;
use crate::install::release::{Release, SOON};
use crate::install::suite::Suite;
use crate::install::workload::{self, HOST, POD};

/// The one node's address.
const NODE: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);

pub(crate) fn port_of_the_node_leads_to_the_pods_of_an_ingress(suite: &Suite) {
    let port = free();
    let release = Release::planned(suite, "ports");
    let class = format!("{{name: {}}}", release.name);
    let drain = "{delay: 1s, timeout: 1s}";
    release.helm(
        "install",
        &format!(
            "config: {{interval: 1s, proxy: {{drain: {drain}}}}}\n\
             proxy: {{enabled: true, http: {{hostPort: {port}}}, ingressClass: {class}}}"
        ),
    );
    release.ready();
    workload::start(&release);
    let target = Target::plain(SocketAddr::from((NODE, port)), HOST);
    wait::until("the node's port leads to the pod", SOON, || {
        let answer = target.get("/").ok().filter(|answer| answer.status == 200)?;
        assert_eq!(answer.body, "shop\n");
        Some(())
    });
    let token = reader(&release, "watcher");
    wait::until("requests are counted under the pod and its labels", SOON, || {
        let page = Page::strict(&release.get("/metrics", Some(&token)).body);
        let page = page.unwrap_or_else(|fault| panic!("{fault}"));
        let of_pod = [
            ("namespace", release.name.as_str()),
            ("pod", POD),
            ("label_team", "orders"),
            ("http_response_status_code", "200"),
        ];
        let count = page.value("http_client_request_duration_seconds_count", &of_pod)?;
        assert!(count >= 1.0, "{count}");
        Some(())
    });
    let address = release.pod()["status"]["podIP"].as_str().expect("it runs").to_owned();
    assert!(!leftovers::rules(&address).is_empty(), "no rule for the node's port");
    release.uninstall();
    wait::until("the node's port is free again", SOON, || {
        leftovers::rules(&address).is_empty().then_some(())
    });
}

/// A port that nobody has now.
fn free() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}
