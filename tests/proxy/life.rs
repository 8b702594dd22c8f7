//! How the proxy ends: told to, it lets load balancers notice, then the requests under way end, then it does.

use std::fs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::client::{request, with};
use crate::config::Config;
use crate::gate::Gate;
use crate::pod::Pod;
use crate::running::{Proxy, until};

/// Holds every answer's last byte until the gate opens.
fn held(gate: &Gate) -> Pod {
    let gate = gate.clone();
    Pod::new(move |link| {
        while let Some(request) = link.read() {
            link.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no");
            if request.asked() == "GET /held" {
                gate.wait();
            }
            link.say("k");
        }
    })
}

fn is_ready(proxy: &Proxy) -> bool {
    proxy.page("/readyz", "").is_some_and(|answer| answer.status == 200)
}

fn is_listening(proxy: &Proxy) -> bool {
    TcpStream::connect(proxy.address()).is_ok()
}

#[test]
fn sigterm_ends_it_in_order_and_no_request_is_lost() {
    let gate = Gate::default();
    let pod = held(&gate);
    let config = Config::to(&[&pod]).with("drain: {delay: 2s, timeout: 20s}");
    let mut proxy = Proxy::start(&config);
    let mut clients = [proxy.connect(), proxy.connect()];
    let [long, idle] = &mut clients;
    long.send(request("GET", "/held"));
    let head = long.head();
    assert_eq!(idle.ask(request("GET", "/")).text(), "ok");

    let told = Instant::now();
    proxy.signal(Signal::TERM);
    until("it to be unready", || (!is_ready(&proxy)).then_some(()));
    assert!(told.elapsed() < Duration::from_secs(2), "it says so at once");
    // As before: load balancers have not noticed yet.
    let answer = idle.ask(request("GET", "/"));
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("ok", None));
    assert_eq!(proxy.ask(&request("GET", "/")).text(), "ok");

    // Then idle connections end, nobody new is let in, and what is under way goes on.
    assert!(idle.ended().is_empty());
    assert!(told.elapsed() >= Duration::from_secs(2));
    until("its socket to be closed", || (!is_listening(&proxy)).then_some(()));
    assert_eq!(pod.requests(), 4);
    assert!(proxy.page("/metrics", "").is_some(), "the last numbers can still be had");
    gate.open();
    assert_eq!(long.with_body(head).text(), "ok");
    assert!(long.ended().is_empty());
    assert_eq!(proxy.ended(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(12), "it does not wait for nobody");
    assert_eq!(proxy.said("did not end"), 0);
}

#[test]
fn what_is_answered_while_it_ends_says_that_the_connection_closes() {
    let gate = Gate::default();
    let of_pod = gate.clone();
    let pod = Pod::new(move |link| {
        while link.read().is_some() {
            of_pod.wait();
            link.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let mut proxy = Proxy::start(&Config::to(&[&pod]).with("drain: {delay: 0s, timeout: 20s}"));
    let mut client = proxy.connect();
    client.send(request("GET", "/"));
    until("the request", || (pod.requests() == 1).then_some(()));
    proxy.signal(Signal::TERM);
    until("its socket to be closed", || (!is_listening(&proxy)).then_some(()));
    gate.open();
    let answer = client.answer();
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("ok", Some("close")));
    assert!(client.ended().is_empty());
    assert_eq!(proxy.ended(), Some(0));
}

#[test]
fn connections_without_a_request_do_not_hold_up_the_end() {
    let pod = Pod::named("ok");
    let config = Config::to(&[&pod]).with("drain: {delay: 0s, timeout: 20s}");
    let mut proxy = Proxy::start(&config);
    // Browsers open some before they need them.
    let mut silent = [proxy.connect(), proxy.connect()];
    let mut used = proxy.connect();
    assert_eq!(used.ask(request("GET", "/")).text(), "ok");
    let told = Instant::now();
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.ended(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(10), "{:?}", told.elapsed());
    assert!(silent.iter_mut().all(|client| client.ended().is_empty()));
    assert_eq!(proxy.said("connections are cut"), 0);
}

#[test]
fn a_request_that_does_not_end_is_cut_when_the_time_is_over() {
    let pod = held(&Gate::default());
    let mut proxy = Proxy::start(&Config::to(&[&pod]).with("drain: {delay: 0s, timeout: 1s}"));
    let mut client = proxy.connect();
    client.send(request("GET", "/held"));
    client.head();
    let told = Instant::now();
    proxy.signal(Signal::TERM);
    assert_eq!(client.ended(), b"o");
    assert_eq!(proxy.ended(), Some(0));
    assert!(told.elapsed() < Duration::from_secs(8), "{:?}", told.elapsed());
    assert_eq!(proxy.said("connections are cut, as they did not end in time"), 1);
}

#[test]
fn the_access_log_has_a_line_for_each_request_and_nothing_that_is_private() {
    let pod = Pod::named("ok");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let config = Config::default()
        .service_of("web", &[&pod])
        .route("name: all, host: a.test, backends: [web]")
        .with("workers: 1")
        .with(&format!("access_log: {{path: \"{}\"}}", path.display()));
    let mut proxy = Proxy::start_in(directory, &config);
    let trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n";
    let private = "Cookie: secret=1\r\nAuthorization: Bearer secret\r\nUser-Agent: test/1\r\n";
    proxy.ask(&with("GET", "/some/path?secret=1", &[trace, private].concat()));
    proxy.ask("POST /y HTTP/1.1\r\nHost: b.test:8080\r\nContent-Length: 4\r\n\r\nbody");
    proxy.ask("GET /\u{7f} HTTP/1.1\r\nHost: a.test\r\n\r\n");
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.ended(), Some(0));

    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("secret"), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [first, second] = &*lines else { panic!("{text}") };
    for (key, value) in [
        ("method", "GET"),
        ("host", "a.test"),
        ("path", "/some/path"),
        ("route", "all"),
        ("client", "127.0.0.1"),
        ("pod", &*pod.address().to_string()),
        ("protocol", "HTTP/1.1"),
        ("trace_id", "0af7651916cd43dd8448eb211c80319c"),
        ("user_agent", "test/1"),
    ] {
        assert_eq!(first[key], value, "{key}");
    }
    assert_eq!((&first["status"], &first["response_bytes"]), (&200.into(), &2.into()));
    assert_eq!((&second["host"], &second["status"]), (&"b.test:8080".into(), &404.into()));
    assert_eq!(second["error_type"], "no_route");
}

#[test]
fn a_sampled_access_log_has_a_part_of_the_requests_and_every_failure() {
    let pods = (Pod::named("ok"), Pod::once(""));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let config = Config::to(&[&pods.0])
        .service_of("bad", &[&pods.1])
        .route("name: bad, host: bad.test, backends: [bad]")
        .with(&format!("access_log: {{path: \"{}\", sample: 0.1}}", path.display()));
    let mut proxy = Proxy::start_in(directory, &config);
    let mut client = proxy.connect();
    for _ in 0..400 {
        client.ask(request("GET", "/"));
    }
    for _ in 0..5 {
        assert_eq!(client.ask("POST / HTTP/1.1\r\nHost: bad.test\r\n\r\n").status, 502);
    }
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.ended(), Some(0));
    let text = fs::read_to_string(&path).unwrap();
    let failures = text.lines().filter(|line| line.contains("\"status\":502")).count();
    let sampled = text.lines().count() - failures;
    // 40 are due; six standard deviations are 36.
    assert!(failures == 5 && (4..=76).contains(&sampled), "{failures}, {sampled}");
}

#[test]
fn a_taken_port_and_a_bad_certificate_end_the_start_with_the_fix() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for (line, words) in [
        (format!("listen: [\"{address}\"]"), address.to_string()),
        ("listen_tls: [\"127.0.0.1:0\"]\n  tls: {certificates: [{certificate: /none, key: /none}]}".to_owned(), "/none".to_owned()),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("podmeter.yaml");
        fs::write(&file, format!("node: n1\nproxy:\n  {line}\n")).unwrap();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_podmeter"))
            .args(["run", "--standalone", "--listen", "127.0.0.1:0", "--config"])
            .arg(&file)
            .env_clear()
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(&words), "{said}");
    }
}
