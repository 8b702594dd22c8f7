//! Client certificates, and those that are revoked.

use std::io;
use std::time::{Duration, Instant};

use crate::authority::{Ca, Pair};
use crate::client::{Client, Reply, bearer};
use crate::page::Page;
use crate::running::{Agent, Cluster, Place, TLS, counts, refusals, until};

const CLIENTS: &str = "  client_ca: clients.crt\n  client_crl: clients.crl\n";

/// A place with a certificate of the agent and an authority for clients.
fn place(ca: &Ca, clients: &Ca) -> Place {
    let place = Place::new();
    place.certify(ca);
    place.put("clients.crt", &clients.pem());
    place.put("clients.crl", &clients.revoking(&[99]));
    place
}

#[test]
fn a_certificate_is_needed_for_all_but_health() {
    let (ca, clients, others) = (Ca::new("ca"), Ca::new("clients"), Ca::new("others"));
    let config = format!("{TLS}{CLIENTS}access: {{mode: certificate}}\n");
    let agent = Agent::start(place(&ca, &clients), None, &config, "info");
    let ask =
        |path: &str, pair: Option<&Pair>| Client::secure(agent.address, &ca, pair)?.get(path, "");
    let alice = clients.client("alice", 7);
    until("a page", || ask("/metrics", Some(&alice)).ok().filter(|reply| reply.status == 200));
    for path in ["/livez", "/readyz"] {
        until("health", || ask(path, None).ok().filter(|reply| reply.status == 200));
    }
    for path in ["/metrics", "/", "/nothing"] {
        let reply = ask(path, None).unwrap();
        assert_eq!(reply.status, 403);
        assert!(reply.body.contains("needs a client certificate"), "{reply:?}");
    }
    for pair in [others.client("mallory", 8), clients.client("eve", 99)] {
        assert!(ask("/metrics", Some(&pair)).is_err());
        assert!(ask("/livez", Some(&pair)).is_err(), "its handshake fails");
    }
    let page = || Page::parse(&ask("/metrics", Some(&alice)).unwrap().body);
    counts(3.0, || refusals(&page(), "no_certificate"));
    counts(4.0, || refusals(&page(), "bad_certificate"));
}

#[test]
fn whoever_is_revoked_is_cut_off_within_seconds_and_nobody_else_is() {
    let (ca, clients) = (Ca::new("ca"), Ca::new("clients"));
    let config = format!("{TLS}{CLIENTS}access: {{mode: certificate}}\n");
    let agent = Agent::start(place(&ca, &clients), None, &config, "info");
    let (alice, mallory) = (clients.client("alice", 7), clients.client("mallory", 8));
    let connect = |pair| Client::secure(agent.address, &ca, Some(pair)).unwrap();
    let (mut of_alice, mut of_mallory) = (connect(&alice), connect(&mallory));
    until("a page", || of_alice.get("/metrics", "").ok().filter(|reply| reply.status == 200));
    assert_eq!(of_mallory.get("/metrics", "").unwrap().status, 200);

    let start = Instant::now();
    agent.place.put("clients.crl", &clients.revoking(&[99, 8]));
    // Both go on asking on the connections that they have, so that neither ends for being idle.
    until("the end of the revoked", || {
        assert_eq!(of_alice.get("/livez", "").unwrap().status, 200);
        of_mallory.get("/livez", "").err()
    });
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    // She goes on for the rest of the test.
    let mut on = || of_alice.get("/metrics", "").unwrap();
    until("the count of the revoked", || {
        (refusals(&Page::parse(&on().body), "revoked") >= 1.0).then_some(())
    });
    let again = Client::secure(agent.address, &ca, Some(&mallory));
    assert!(again.and_then(|mut client| client.get("/metrics", "")).is_err());

    // A list that cannot be read revokes nobody and pardons nobody.
    agent.place.put("clients.crl", "garbage");
    until("the fault", || {
        assert_eq!(on().status, 200, "still on her first connection");
        (agent.said("revocation list holds none") > 0).then_some(())
    });
    let again = Client::secure(agent.address, &ca, Some(&mallory));
    assert!(again.and_then(|mut client| client.get("/metrics", "")).is_err());
    assert_eq!(refusals(&Page::parse(&on().body), "revoked").to_bits(), 1_f64.to_bits());
}

#[test]
fn with_tokens_a_certificate_is_as_good() {
    let (ca, clients, cluster) = (Ca::new("ca"), Ca::new("clients"), Cluster::start());
    cluster.reader("good", "prometheus", "/metrics");
    let config = format!("{TLS}{CLIENTS}access: {{mode: kubernetes}}\n");
    let agent = Agent::start(place(&ca, &clients), Some(&cluster), &config, "info");
    let alice = clients.client("alice", 7);
    let ask = |pair: Option<&Pair>, token: &str| -> io::Result<Reply> {
        let header = if token.is_empty() { String::new() } else { bearer(token) };
        Client::secure(agent.address, &ca, pair)?.get("/metrics", &header)
    };
    until("a page", || ask(None, "good").ok().filter(|reply| reply.status == 200));
    assert_eq!(ask(Some(&alice), "").unwrap().status, 200);
    assert_eq!(ask(Some(&alice), "bad").unwrap().status, 200);
    assert_eq!(ask(None, "").unwrap().status, 401);
    assert_eq!(agent.said("there is no TLS"), 0);
}
