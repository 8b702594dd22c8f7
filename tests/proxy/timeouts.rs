//! How long is waited for what, and that what was only slow is not cut.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use tokio::net::TcpSocket;

use crate::client::{request, with};
use crate::config::Config;
use crate::pod::Pod;
use crate::running::Proxy;

/// How often something that is slow on purpose moves.
const PACE: Duration = Duration::from_millis(100);

fn failed(proxy: &Proxy, error: &str) {
    proxy.counts("http_client_request_duration_seconds_count", &[("error_type", error)], 1.0);
    proxy.counts("http_server_request_duration_seconds_count", &[("error_type", error)], 1.0);
    proxy.rests();
}

/// A socket whose queue of connections is full: the kernel answers no further one.
fn full() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap().into_std().unwrap();
    let address = listener.local_addr().unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
    let waiting = std::iter::from_fn(connect).take(64).collect();
    (address, listener, waiting)
}

#[test]
fn a_connection_that_is_not_accepted_is_given_up() {
    let (address, _listener, _waiting) = full();
    let config = Config::at(&[address]).with("timeouts: {connect: 200ms}");
    let proxy = Proxy::start(&config.with("retry: {attempts: 0}"));
    assert_eq!(proxy.ask(&request("GET", "/")).refusal(), (504, "connect_timeout"));
    let labels = [("error_type", "connect_timeout")];
    proxy.counts("http_server_request_duration_seconds_count", &labels, 1.0);
}

#[test]
fn a_pod_that_does_not_begin_its_answer_is_given_up_and_not_asked_twice() {
    let pod = Pod::new(|link| {
        let _ = link.read();
        link.wait_for_end();
    });
    let proxy = Proxy::start(&Config::to(&[&pod]).with("timeouts: {first_byte: 300ms}"));
    let mut client = proxy.connect();
    assert_eq!(client.ask(request("GET", "/")).refusal(), (504, "first_byte_timeout"));
    pod.closed(1);
    assert_eq!(pod.requests(), 1);
    failed(&proxy, "first_byte_timeout");
}

#[test]
fn a_body_that_stands_still_cuts_the_answer() {
    let pod = Pod::new(|link| {
        let _ = link.read();
        link.say("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf");
        link.wait_for_end();
    });
    let proxy = Proxy::start(&Config::to(&[&pod]).with("timeouts: {idle: 300ms}"));
    let mut client = proxy.connect();
    client.send(request("GET", "/"));
    assert_eq!(client.head().status, 200);
    assert_eq!(client.ended(), b"half");
    pod.closed(1);
    failed(&proxy, "idle_timeout");
}

#[test]
fn a_body_that_moves_slowly_is_not_cut() {
    let pod = Pod::new(|link| {
        let _ = link.read();
        link.say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n");
        for _ in 0..10 {
            sleep(PACE);
            link.say("x");
        }
    });
    let timeouts =
        "timeouts: {idle: 500ms, first_byte: 500ms, client_idle: 500ms, client_head: 500ms}";
    let proxy = Proxy::start(&Config::to(&[&pod]).with(timeouts));
    assert_eq!(proxy.ask(&request("GET", "/")).text(), "x".repeat(10));
}

#[test]
fn a_request_that_is_still_sent_is_not_waited_for_in_vain() {
    let pod = Pod::named("ok");
    let timeouts =
        "timeouts: {idle: 500ms, first_byte: 500ms, client_idle: 500ms, client_head: 500ms}";
    let proxy = Proxy::start(&Config::to(&[&pod]).with(timeouts));
    let mut client = proxy.connect();
    client.send(with("POST", "/", "Content-Length: 12\r\n"));
    for _ in 0..12 {
        sleep(PACE);
        client.send("x");
    }
    assert_eq!(client.answer().text(), "ok");
    assert_eq!(pod.last().body, b"xxxxxxxxxxxx");
}

#[test]
fn clients_that_stall_are_told_so_and_no_pod_is_blamed_for_them() {
    let pod = Pod::named("ok");
    let config = Config::to(&[&pod]).with("timeouts: {idle: 900ms, first_byte: 300ms}");
    let proxy = Proxy::start(
        &config
            .with("ejection: {consecutive: 1, pause: 1h, max_pause: 1h}")
            .route("name: short, host: short.test, timeouts: {request: 600ms}, backends: [web]"),
    );
    let mut clients: Vec<_> = (0..6).map(|_| proxy.connect()).collect();
    for (at, client) in clients.iter_mut().enumerate() {
        let host = if at < 3 { "a.test" } else { "short.test" };
        client.send(format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 8\r\n\r\n"));
        if at % 3 > 0 {
            client.send("half");
        }
    }
    for client in &mut clients {
        assert_eq!(client.answer().refusal(), (408, "body_timeout"));
    }
    assert_eq!(proxy.said("failed too often"), 0);
    assert_eq!(proxy.ask(&request("GET", "/")).text(), "ok");
    let labels = [("error_type", "request_body")];
    proxy.counts("http_client_request_duration_seconds_count", &labels, 6.0);
}

#[test]
fn a_whole_request_has_its_time() {
    let silent = Pod::new(|link| {
        let _ = link.read();
        link.wait_for_end();
    });
    let dripping = Pod::new(|link| {
        let _ = link.read();
        link.say("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        while link.say("x") {
            sleep(PACE);
        }
    });
    let config = Config::default()
        .with("timeouts: {request: 1s}")
        .service_of("silent", &[&silent])
        .service_of("dripping", &[&dripping])
        .route("name: silent, path: /silent, backends: [silent]")
        .route("name: dripping, path: /dripping, backends: [dripping], timeouts: {request: 500ms}");
    let proxy = Proxy::start(&config);
    assert_eq!(proxy.ask(&request("GET", "/silent")).refusal(), (504, "request_timeout"));
    let mut client = proxy.connect();
    client.send(request("GET", "/dripping"));
    assert_eq!(client.head().status, 200);
    let came = client.ended().len();
    assert!((1..30).contains(&came), "{came}");
    dripping.closed(1);
    silent.closed(1);
    let labels = [("error_type", "request_timeout")];
    proxy.counts("http_client_request_duration_seconds_count", &labels, 2.0);
}

#[test]
fn a_client_that_takes_nothing_of_its_answer_has_no_more_time_than_the_whole_request() {
    let large = Pod::new(|link| {
        let _ = link.read();
        link.say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(1 << 16));
        while link.say(&chunk) {}
    });
    let config = Config::to(&[&large]).with("timeouts: {request: 500ms}");
    let proxy = Proxy::start(&config.with("ejection: {consecutive: 1, pause: 1h, max_pause: 1h}"));
    let mut client = proxy.connect();
    client.send(request("GET", "/"));
    assert_eq!(client.head().status, 200);
    // Nothing more is read: only the bound of the whole request is shorter than the minute of `idle`.
    large.closed(1);
    let labels = [("error_type", "request_timeout")];
    proxy.counts("http_client_request_duration_seconds_count", &labels, 1.0);
    assert_eq!(proxy.said("failed too often"), 0);
}

#[test]
fn a_client_that_is_slow_with_its_head_or_body_is_told_and_left() {
    let pod = Pod::named("ok");
    let timeouts = "timeouts: {client_head: 300ms, idle: 600ms}";
    let proxy = Proxy::start(&Config::to(&[&pod]).with(timeouts));
    for begin in ["G", "GET / HTTP/1.1\r\nHost: a.te", "GET / HTTP/1.1\r\nHost: a.test\r\nX: y\r\n"]
    {
        let mut client = proxy.connect();
        assert_eq!(client.ask(begin).refusal(), (408, "head_timeout"), "{begin:?}");
        assert!(client.ended().is_empty());
    }
    for begin in
        ["Content-Length: 8\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"]
    {
        let mut client = proxy.connect();
        let head = request("POST", "/").replace("\r\n\r\n", "\r\n");
        assert_eq!(client.ask(head + begin).refusal(), (408, "body_timeout"), "{begin:?}");
        assert!(client.ended().is_empty());
    }
    assert_eq!(pod.requests(), 0);
    proxy.counts("podmeter_proxy_refused_total", &[("reason", "head_timeout")], 3.0);
    proxy.counts("podmeter_proxy_refused_total", &[("reason", "body_timeout")], 2.0);
    // The client is to blame, not the pod.
    let page = proxy.rests();
    let labels = [("error_type", "request_body"), ("http_response_status_code", "408")];
    assert_eq!(page.value("http_server_request_duration_seconds_count", &labels), Some(2.0));
    assert_eq!(proxy.said("failed too often"), 0);
}

#[test]
fn a_connection_without_a_request_ends_without_a_word() {
    let pod = Pod::named("ok");
    let proxy = Proxy::start(&Config::to(&[&pod]).with("timeouts: {client_idle: 300ms}"));
    let mut silent = proxy.connect();
    let mut client = proxy.connect();
    assert_eq!(client.ask(request("GET", "/")).text(), "ok");
    assert!(client.ended().is_empty());
    assert!(silent.ended().is_empty());
    let page = proxy.counts("podmeter_proxy_connections", &[], 0.0);
    let mut refused = page.samples("podmeter_proxy_refused_total", &[]);
    assert!(refused.all(|sample| sample.value == 0.0));
}

#[test]
fn connections_to_pods_are_kept_for_so_long_and_no_longer() {
    let pod = Pod::named("ok");
    let proxy = Proxy::start(&Config::to(&[&pod]).with("timeouts: {backend_idle: 500ms}"));
    let mut client = proxy.connect();
    (0..5).for_each(|_| assert_eq!(client.ask(request("GET", "/")).text(), "ok"));
    assert_eq!(pod.seen().connections, 1);
    pod.closed(1);
    assert_eq!(client.ask(request("GET", "/")).text(), "ok");
    assert_eq!(pod.seen().connections, 2);
}
