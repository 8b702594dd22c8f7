//! Clients that show certificates, and the ones whose certificate is revoked.

use std::fs;
use std::io::Read;
use std::time::{Duration, Instant};

use crate::certificates::{Ca, Stream, connect};
use crate::client::{Client, request, with};
use crate::config::Config;
use crate::gate::Gate;
use crate::pod::Pod;
use crate::running::{Proxy, until};
use crate::secure::{files, ok};

#[test]
fn whoever_must_show_a_certificate_and_does_not_is_not_let_in() {
    let (ca, other, pod) = (Ca::new("ca"), Ca::new("other"), Pod::named("ok"));
    let (directory, lines) =
        files(&[("a", &ca.host(&["a.test"]))], "  clients: {ca: \"DIR/ca.crt\"}\n");
    fs::write(directory.path().join("ca.crt"), ca.pem()).unwrap();
    let proxy = Proxy::start_in(directory, &Config::to(&[&pod]).secure().with(&lines));
    let mut client = connect(proxy.secure(), "a.test", Some(&ca.client("alice", 7)));
    let forged = with("GET", "/", "X-Forwarded-Client-Cert: Subject=\"CN=root\"\r\n");
    assert_eq!(client.ask(forged).text(), "ok");
    let told = pod.last().header("x-forwarded-client-cert").unwrap().to_owned();
    assert!(
        told.contains("CN=alice") && told.contains("Serial=07") && !told.contains("root"),
        "{told}"
    );

    for pair in [None, Some(other.client("mallory", 8))] {
        let mut client = connect(proxy.secure(), "a.test", pair.as_ref());
        client.send(request("GET", "/"));
        assert_eq!(client.ended(), b"");
    }
    assert_eq!(pod.requests(), 1);
    proxy.counts("podmeter_proxy_refused_total", &[("reason", "client_certificate")], 2.0);
}

#[test]
fn where_certificates_are_optional_only_good_ones_are_told() {
    let (ca, other, pod) = (Ca::new("ca"), Ca::new("other"), Pod::named("ok"));
    let clients = "  clients: {ca: \"DIR/ca.crt\", required: false}\n";
    let (directory, lines) = files(&[("a", &ca.host(&["a.test"]))], clients);
    fs::write(directory.path().join("ca.crt"), ca.pem()).unwrap();
    let proxy = Proxy::start_in(directory, &Config::to(&[&pod]).secure().with(&lines));
    let mut client = connect(proxy.secure(), "a.test", None);
    client.ask(with("GET", "/", "X-Forwarded-Client-Cert: Subject=\"CN=root\"\r\n"));
    assert_eq!(pod.last().header("x-forwarded-client-cert"), None);
    ok(&mut connect(proxy.secure(), "a.test", Some(&ca.client("alice", 7))));
    assert!(pod.last().header("x-forwarded-client-cert").unwrap().contains("CN=alice"));
    let mut client = connect(proxy.secure(), "a.test", Some(&other.client("mallory", 8)));
    client.send(request("GET", "/"));
    assert_eq!(client.ended(), b"");
}

#[test]
fn a_revoked_client_is_cut_off_within_seconds_and_nobody_else_is() {
    let gate = Gate::default();
    let of_pod = gate.clone();
    let pod = Pod::new(move |link| {
        while link.read().is_some() {
            link.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no");
            of_pod.wait();
            link.say("k");
        }
    });
    let ca = Ca::new("ca");
    let clients = "  clients: {ca: \"DIR/ca.crt\", crl: \"DIR/ca.crl\"}\n";
    let (directory, lines) = files(&[("a", &ca.host(&["a.test"]))], clients);
    fs::write(directory.path().join("ca.crt"), ca.pem()).unwrap();
    fs::write(directory.path().join("ca.crl"), ca.revoking(&[99])).unwrap();
    let proxy = Proxy::start_in(directory, &Config::to(&[&pod]).secure().with(&lines));
    let (alice, mallory) = (ca.client("alice", 7), ca.client("mallory", 8));
    let mut open = [&alice, &mallory].map(|pair| connect(proxy.secure(), "a.test", Some(pair)));
    let mut idle = connect(proxy.secure(), "a.test", Some(&mallory));
    let heads = open.each_mut().map(|client| {
        client.send(request("GET", "/"));
        client.head()
    });

    let told = Instant::now();
    proxy.replace("ca.crl", &ca.revoking(&[99, 8]));
    let mut byte = [0];
    let mut cut = |client: &mut Client<Stream>| {
        // The byte that had come is still there to be read.
        while client.stream.read(&mut byte).is_ok_and(|length| length > 0) {}
    };
    cut(&mut open[1]);
    cut(&mut idle);
    assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());
    proxy.counts("podmeter_proxy_revoked_connections_total", &[], 2.0);
    assert_eq!(connect(proxy.secure(), "a.test", Some(&mallory)).ended(), b"");

    // A list that cannot be read revokes nobody and pardons nobody.
    proxy.replace("ca.crl", "garbage");
    until("the fault", || (proxy.said("revocation list holds none") > 0).then_some(()));
    assert_eq!(connect(proxy.secure(), "a.test", Some(&mallory)).ended(), b"");
    gate.open();
    let [alice_open, _] = &mut open;
    let [head, _] = heads;
    assert_eq!(alice_open.with_body(head).text(), "ok");
    ok(&mut connect(proxy.secure(), "a.test", Some(&alice)));
    proxy.rests();
}
