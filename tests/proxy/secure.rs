//! TLS from clients and to pods, and certificates that change while connections are open.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustls::pki_types::ServerName;
use rustls::{ServerConnection, StreamOwned};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::certificates::{Ca, Pair, Stream, config, connect};
use crate::client::{Client, request};
use crate::config::Config;
use crate::http2::{Http2, get};
use crate::pod::Pod;
use crate::running::{Proxy, until};

/// A directory with certificates under these names, and the lines of `tls` that name them.
pub(crate) fn files(pairs: &[(&str, &Pair)], more: &str) -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().display();
    let mut lines = "tls:\n  certificates:\n".to_owned();
    for (name, pair) in pairs {
        fs::write(directory.path().join(format!("{name}.crt")), &pair.chain).unwrap();
        fs::write(directory.path().join(format!("{name}.key")), &pair.key).unwrap();
        let path = |kind: &str| format!("\"{root}/{name}.{kind}\"");
        let pair = ["    - {certificate: ", &path("crt"), ", key: ", &path("key"), "}\n"];
        lines.extend(pair);
    }
    lines += &more.replace("DIR", &root.to_string());
    (directory, lines)
}

pub(crate) fn ok(client: &mut Client<Stream>) {
    assert_eq!(client.ask(request("GET", "/")).text(), "ok");
}

#[test]
fn the_certificate_is_the_one_of_the_host_that_the_client_names() {
    let (ca, pod) = (Ca::new("ca"), Pod::named("ok"));
    let pairs =
        [&["first.test"][..], &["a.test", "also.a.test"], &["*.w.test"]].map(|it| ca.host(it));
    let named = [("first", &pairs[0]), ("a", &pairs[1]), ("w", &pairs[2])];
    let (directory, lines) = files(&named, "");
    let proxy = Proxy::start_in(directory, &Config::to(&[&pod]).secure().with(&lines));
    for (name, right) in [
        ("a.test", 1),
        ("also.a.test", 1),
        ("A.TEST", 1),
        ("x.w.test", 2),
        ("y.x.w.test", 0),
        ("w.test", 0),
        ("unknown.test", 0),
        ("127.0.0.1", 0),
    ] {
        let client = connect(proxy.secure(), name, None);
        assert!(pairs[right].is_shown_on(&client), "{name}");
    }
    let mut client = connect(proxy.secure(), "a.test", None);
    ok(&mut client);
    let got = pod.last();
    assert_eq!(
        (got.header("x-forwarded-proto"), got.header("x-forwarded-port")),
        (Some("https"), Some("443"))
    );
    let page = proxy.scrape();
    let name = "podmeter_proxy_certificate_expiry_timestamp_seconds";
    assert_eq!(page.samples(name, &[]).count(), 3);
}

#[test]
fn a_connection_is_for_the_hosts_of_its_certificate() {
    let (ca, pod) = (Ca::new("ca"), Pod::named("ok"));
    let pairs = [ca.host(&["a.test", "also.a.test"]), ca.host(&["b.test"])];
    let (directory, lines) = files(&[("a", &pairs[0]), ("b", &pairs[1])], "");
    let config = Config::to(&[&pod])
        .secure()
        .with(&lines)
        .route("name: safe, host: also.a.test, https_only: true, affinity: true, backends: [web]");
    let proxy = Proxy::start_in(directory, &config);
    let mut client = connect(proxy.secure(), "a.test", None);
    let of = |host: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let answer = client.ask(of("also.a.test"));
    assert_eq!(answer.status, 200, "no redirect");
    assert!(answer.header("set-cookie").unwrap().contains("; Secure"));
    assert_eq!(client.ask(of("b.test")).refusal(), (421, "misdirected"));
    ok(&mut client);
    // In plain text there is nothing to be misdirected.
    assert_eq!(proxy.ask(&of("b.test")).status, 200);
    proxy.counts("podmeter_proxy_refused_total", &[("reason", "misdirected")], 1.0);
}

#[test]
fn http2_is_agreed_on_in_the_handshake() {
    let (ca, pod) = (Ca::new("ca"), Pod::named("ok"));
    let (directory, lines) = files(&[("a", &ca.host(&["a.test"]))], "");
    let proxy = Proxy::start_in(directory, &Config::to(&[&pod]).secure().with(&lines));
    let address = proxy.secure();
    let mut client = Http2::over(async move {
        let stream = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("a.test").unwrap();
        TlsConnector::from(config(None, "h2")).connect(name, stream).await.unwrap()
    });
    let mut asked = get("/");
    *asked.uri_mut() = "https://a.test/".parse().unwrap();
    assert_eq!(client.ask(asked).body, "ok");
    let mut asked = get("/");
    *asked.uri_mut() = "https://b.test/".parse().unwrap();
    assert_eq!(client.ask(asked).status, 200, "no certificate is for it, so any connection is");
    assert_eq!(pod.requests(), 2);
}

#[test]
fn connections_without_a_request_do_not_hold_up_the_end() {
    let (ca, pod) = (Ca::new("ca"), Pod::named("ok"));
    let (directory, lines) = files(&[("a", &ca.host(&["a.test"]))], "");
    let config = Config::to(&[&pod]).secure().with(&lines);
    let config = config.with("drain: {delay: 0s, timeout: 20s}");
    let mut proxy = Proxy::start_in(directory, &config);
    let mut used = connect(proxy.secure(), "a.test", None);
    ok(&mut used);
    let mut unused = connect(proxy.secure(), "a.test", None);
    let told = Instant::now();
    proxy.signal(Signal::TERM);
    assert_eq!((used.ended(), unused.ended()), (Vec::new(), Vec::new()));
    assert_eq!(proxy.ended(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
}

#[test]
fn new_certificates_are_shown_without_a_restart_and_broken_ones_are_not() {
    let (ca, pod) = (Ca::new("ca"), Pod::named("ok"));
    let (old, new) = (ca.host(&["a.test"]), ca.host(&["a.test"]));
    let (directory, lines) = files(&[("a", &old)], "");
    let proxy = Proxy::start_in(directory, &Config::to(&[&pod]).secure().with(&lines));
    let mut open = connect(proxy.secure(), "a.test", None);
    ok(&mut open);
    let shows = |pair: &Pair| pair.is_shown_on(&connect(proxy.secure(), "a.test", None));
    assert!(shows(&old));

    proxy.replace("a.crt", "garbage");
    until("the fault", || (proxy.said("a.crt") > 0).then_some(()));
    assert!(shows(&old));
    proxy.replace("a.crt", &new.chain);
    proxy.replace("a.key", &new.key);
    until("the new certificate", || shows(&new).then_some(()));
    ok(&mut open);
}

#[test]
fn what_is_no_handshake_is_refused_and_counted() {
    let (ca, pod) = (Ca::new("ca"), Pod::named("ok"));
    let (directory, lines) = files(&[("a", &ca.host(&["a.test"]))], "");
    let config = Config::to(&[&pod]).secure().with(&lines).with("timeouts: {client_head: 300ms}");
    let proxy = Proxy::start_in(directory, &config);
    let mut plain = Client::connect(proxy.secure());
    plain.send(request("GET", "/"));
    assert!(!String::from_utf8_lossy(&plain.ended()).contains("HTTP"));
    let mut silent = Client::connect(proxy.secure());
    assert_eq!(silent.ended(), b"");
    proxy.counts("podmeter_proxy_refused_total", &[("reason", "tls_handshake")], 2.0);
}

/// A pod with this certificate.
fn secure_pod(pair: &Pair) -> Pod {
    let config = pair.server();
    Pod::new(move |link| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        let stream = StreamOwned::new(connection, link.stream.try_clone().unwrap());
        let mut server = Client::over(stream);
        while server.request_came() {
            server.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    })
}

#[test]
fn pods_that_speak_tls_are_checked_when_their_authority_is_known() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let pods = [&ca, &other].map(|ca| secure_pod(&ca.host(&["pod.test"])));
    let service = |name: &str, pod: &Pod| {
        format!("name: {name}, tls: true, endpoints: [\"{}\"]", pod.address())
    };
    let config = Config::default()
        .service(&service("good", &pods[0]))
        .service(&service("bad", &pods[1]))
        .route("name: good, path: /good, backends: [good]")
        .route("name: bad, path: /bad, backends: [bad]");
    let proxy = Proxy::start(&config);
    for path in ["/good", "/bad"] {
        assert_eq!(proxy.ask(&request("GET", path)).text(), "ok", "nothing to check with");
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pods.crt");
    fs::write(&file, ca.pem()).unwrap();
    let config = config.with(&format!("tls: {{backend_ca: \"{}\"}}", file.display()));
    let proxy = Proxy::start_in(directory, &config);
    let mut client = proxy.connect();
    for _ in 0..3 {
        assert_eq!(client.ask(request("GET", "/good")).text(), "ok");
    }
    assert_eq!(client.ask(request("GET", "/bad")).refusal(), (502, "tls"));
    let labels = [("error_type", "tls")];
    proxy.counts("http_server_request_duration_seconds_count", &labels, 1.0);
    proxy.counts("podmeter_http_backend_connect_errors_total", &labels, 1.0);
}
