//! What clients without a right can make grow: nothing.

use std::net::TcpStream;

use crate::authority::Ca;
use crate::client::{Client, bearer};
use crate::page::Page;
use crate::running::{Agent, Cluster, Place, TLS, counts, reviews, until};

#[test]
fn a_thousand_bad_tokens_stay_bounded_and_push_nobody_out() {
    let mut cluster = Cluster::start();
    cluster.reader("good", "prometheus", "/metrics");
    let agent = Agent::asking(&cluster, "access: {mode: kubernetes}\n").ready("good");
    let resident = |page: &Page| page.value("process_resident_memory_bytes", &[]).unwrap();
    let before = agent.scrape("good");
    let mut client = Client::connect(agent.address).unwrap();
    for number in 0..1_100 {
        // As long as a service account's.
        let token = format!("{}.{number}", "x".repeat(900));
        assert_eq!(client.get("/metrics", &bearer(&token)).unwrap().status, 401);
    }
    let after = agent.scrape("good");
    counts(1_100.0, || reviews(&agent.scrape("good"), "unknown_token"));
    let grown = resident(&after) - resident(&before);
    assert!(grown < f64::from(16 << 20), "{grown} bytes");

    cluster.stop();
    until("an answer that is held", || {
        let page = agent.scrape("good");
        Some(page).filter(|page| reviews(page, "held") > 0.0)
    });
}

#[test]
fn handshakes_that_never_end_take_no_place_for_long() {
    let (ca, place) = (Ca::new("ca"), Place::new());
    place.certify(&ca);
    let agent = Agent::start(place, None, TLS, "info");
    let reply = |path: &str| Client::secure(agent.address, &ca, None)?.get(path, "");
    until("the first page", || reply("/metrics").ok().filter(|reply| reply.status == 200));
    // As many as there may be connections.
    let silent: Vec<_> = (0..64).map(|_| TcpStream::connect(agent.address).unwrap()).collect();
    let counted = |name: &str| {
        let page = Page::parse(&reply("/metrics").ok()?.body);
        page.value("podmeter_http_requests_refused_total", &[("reason", name)])
    };
    until("their end", || counted("handshake_timeout").filter(|times| *times >= 60.0));
    drop(silent);
    let mut plain = Client::connect(agent.address).unwrap();
    assert!(plain.get("/metrics", "").is_err(), "what is no TLS gets no answer");
    until("its count", || counted("handshake").filter(|times| *times >= 1.0));
}
