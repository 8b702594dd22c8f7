//! A client's certificate that is not good any more.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{agent, common};
use crate::cluster::agent::Agent;
use crate::cluster::authority::{Authority, Pair};
use crate::cluster::load::{Load, Traffic};
use crate::cluster::suite::Suite;
use crate::cluster::wait;

/// What is promised.
const WITHIN: Duration = Duration::from_secs(5);
/// The serial number of the certificate that is revoked.
const REVOKED: u64 = 4711;
/// Between two requests of the client whose certificate is revoked.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) fn proxy_cuts_a_client_whose_certificate_is_revoked_within_five_seconds(suite: &Suite) {
    let _steady = suite.steady();
    let (server, clients) = (Authority::new("server"), Authority::new("clients"));
    let (good, bad) = (clients.client("good", 1), clients.client("bad", REVOKED));
    suite.apply(&secret(&clients, &[]));
    let agent = asking(suite, &server.host("mutual.test"));
    let target = |shown| agent.https("mutual.test", server.trusted(shown));
    let (stays, goes) = (target(Some(&good)), target(Some(&bad)));
    assert!(target(None).get("/").is_err(), "a client without a certificate is refused");

    let (mut busy, mut idle) = (goes.client(), goes.client());
    assert_eq!(busy.get("/").expect("it is good so far").status, 200);
    assert_eq!(idle.get("/").expect("it is good so far").status, 200);
    let traffic = Traffic { clients: 2, every: Duration::from_millis(20), posts: 5 };
    let load = Load::start(&stays, traffic);
    let when_idle_is_cut = thread::spawn(move || idle.closed().map(|()| Instant::now()));
    let when_busy_is_cut = thread::spawn(move || {
        while busy.get("/").is_ok() {
            thread::sleep(PAUSE);
        }
        Instant::now()
    });

    let began = Instant::now();
    suite.apply(&secret(&clients, &[REVOKED]));
    // The API server has it at the latest now; how long kubectl takes on a busy machine is not the proxy's.
    let revoked = Instant::now();
    while goes.get("/").is_ok() {
        assert!(revoked.elapsed() < WITHIN, "new connections are not refused");
    }
    let refused = revoked.elapsed();
    let busy = when_busy_is_cut.join().expect("no panic").saturating_duration_since(revoked);
    let idle = when_idle_is_cut.join().expect("no panic").expect("it is cut");
    let idle = idle.saturating_duration_since(revoked);
    eprintln!(
        "cluster: revoked: kubectl took {:.2?}; then new connections refused after {refused:.2?}, the busy one cut after {busy:.2?}, the idle one after {idle:.2?}",
        revoked - began
    );
    assert!(refused < WITHIN && busy < WITHIN && idle < WITHIN);
    // Some more, so that what is cut by mistake would be seen.
    let sent = load.sent();
    wait::until("more requests", WITHIN, || (load.sent() > sent + 50).then_some(()));
    let report = load.finish();
    eprintln!("cluster: not revoked: {}", report.line());
    assert_eq!(report.failed, 0, "{:?}", report.failures);
    assert_eq!(report.connections, traffic.clients);
    let page = agent.scrape().expect("a page");
    let cut = page.value("podmeter_proxy_revoked_connections_total", &[]);
    assert!(cut >= Some(2.0), "{cut:?}");
}

/// An agent that asks its clients for certificates, and shows this one.
fn asking(suite: &Suite, host: &Pair) -> Agent {
    let (namespace, service) = (&suite.namespace.name, common(suite));
    let files = ["mutual.crt", "mutual.key"].map(|name| suite.scratch.path().join(name));
    fs::write(&files[0], &host.chain).expect("it can be written");
    fs::write(&files[1], &host.key).expect("it can be written");
    let proxy = json!({
        "routes": [{"name": "mutual", "backends": [format!("{namespace}/{service}:http")]}],
        "tls": {
            "certificates": [{"certificate": files[0], "key": files[1]}],
            "clients": {"secret": format!("{namespace}/clients")},
        },
    });
    agent(suite, "mutual", &proxy)
}

/// The clients' authority, and which of its certificates are revoked.
fn secret(clients: &Authority, serials: &[u64]) -> String {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "clients"},
        "stringData": {"ca.crt": clients.pem(), "ca.crl": clients.revoking(serials)},
    })
    .to_string()
}
