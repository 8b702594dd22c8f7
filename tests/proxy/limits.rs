//! What is too much: of a body, of a head, of connections.

use crate::client::{request, with};
use crate::config::Config;
use crate::pod::Pod;
use crate::running::{Proxy, until};

#[test]
fn a_body_that_is_too_large_is_refused_before_or_while_it_is_read() {
    let pod = Pod::named("ok");
    let config = Config::to(&[&pod])
        .with("limits: {body_bytes: 10}")
        .route("name: more, path: /more, max_body: 20, backends: [web]")
        .route("name: any, path: /any, max_body: 0, backends: [web]");
    let proxy = Proxy::start(&config);
    let known = |path: &str, bytes: usize| {
        with("POST", path, &format!("Content-Length: {bytes}\r\n")) + &"x".repeat(bytes)
    };
    let chunked = |path: &str, bytes: usize| {
        let body = format!("{bytes:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(bytes));
        with("POST", path, "Transfer-Encoding: chunked\r\n") + &body
    };
    for (path, most) in [("/", 10), ("/more", 20)] {
        for request in [known(path, most), chunked(path, most)] {
            assert_eq!(proxy.ask(&request).text(), "ok", "{request}");
        }
        for request in [known(path, most + 1), chunked(path, most + 1), known(path, 3_000_000)] {
            let mut client = proxy.connect();
            let answer = client.ask(&request);
            assert_eq!(answer.refusal(), (413, "body_too_large"), "{}", &request[..60]);
            assert!(client.ended().is_empty());
        }
    }
    assert_eq!(proxy.ask(&known("/any", 100_000)).text(), "ok");
    assert_eq!(pod.requests(), 5);
    proxy.counts("podmeter_proxy_refused_total", &[("reason", "body_too_large")], 6.0);
    // The route counts them however early they were refused.
    let page = proxy.rests();
    let labels = [("http_response_status_code", "413")];
    let of_route = page.samples("http_server_request_duration_seconds_count", &labels);
    let counts: Vec<String> = of_route.map(|sample| sample.value.to_string()).collect();
    assert_eq!(counts, ["2", "1", "2", "1"], "known from the start, and found out; two routes");
}

#[test]
fn heads_are_bounded_in_bytes_and_in_headers() {
    let pod = Pod::named("ok");
    let proxy = Proxy::start(&Config::to(&[&pod]).with("limits: {head_bytes: 8KiB, headers: 20}"));
    let headers = |count: usize| with("GET", "/", &"X: y\r\n".repeat(count));
    let bytes = |count: usize| with("GET", "/", &format!("X: {}\r\n", "y".repeat(count)));
    let target = |count: usize| request("GET", &format!("/{}", "x".repeat(count)));
    for good in [headers(19), bytes(8000), target(8000)] {
        assert_eq!(proxy.ask(&good).text(), "ok");
    }
    for (bad, refusal) in [
        (headers(20), (431, "headers")),
        (bytes(8192), (431, "headers")),
        (bytes(100_000), (431, "headers")),
        (target(8192), (431, "headers")),
    ] {
        let mut client = proxy.connect();
        assert_eq!(client.ask(&bad).refusal(), refusal, "{}", &bad[..40]);
        assert!(client.ended().is_empty());
    }
    let proxy = Proxy::to(&[&pod]);
    assert_eq!(proxy.ask(&target(16_000)).text(), "ok");
    assert_eq!(proxy.ask(&target(17_000)).refusal(), (414, "target_too_long"));
    assert_eq!(pod.requests(), 4);
}

#[test]
fn a_pods_head_is_bounded_too() {
    let many = format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "x: y\r\n".repeat(200));
    let long =
        format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "y".repeat(100_000));
    for said in [many, long] {
        let pod = Pod::saying(said);
        let proxy = Proxy::to(&[&pod]);
        assert_eq!(proxy.ask(&request("GET", "/")).refusal(), (502, "response_headers"));
        assert_eq!(pod.requests(), 1);
    }
}

#[test]
fn connections_of_one_address_are_bounded_and_their_places_given_back() {
    let pod = Pod::named("ok");
    let proxy = Proxy::start(&Config::to(&[&pod]).with("limits: {connections_per_address: 3}"));
    let mut clients: Vec<_> = (0..3).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(request("GET", "/")).text(), "ok");
    }
    for _ in 0..20 {
        let answer = proxy.ask(&request("GET", "/"));
        assert_eq!(answer.refusal(), (429, "address_connections"));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    clients.pop();
    until("a place", || (proxy.ask(&request("GET", "/")).status == 200).then_some(()));
    for client in &mut clients {
        assert_eq!(client.ask(request("GET", "/")).text(), "ok", "those there are go on");
    }
    proxy.page_with("refused connections", |page| {
        let labels = [("reason", "address_connections")];
        page.value("podmeter_proxy_refused_total", &labels).is_some_and(|count| count >= 20.0)
    });
}

#[test]
fn connections_in_all_are_bounded() {
    let pod = Pod::named("ok");
    let proxy = Proxy::start(&Config::to(&[&pod]).with("limits: {connections: 2}"));
    let mut clients = [proxy.connect(), proxy.connect()];
    for client in &mut clients {
        assert_eq!(client.ask(request("GET", "/")).text(), "ok");
    }
    for _ in 0..20 {
        assert_eq!(proxy.ask(&request("GET", "/")).refusal(), (503, "connections"));
    }
    proxy.counts("podmeter_proxy_refused_total", &[("reason", "connections")], 20.0);
}

#[test]
fn a_load_balancers_clients_have_their_own_bounds() {
    let pod = Pod::named("ok");
    let config = Config::to(&[&pod])
        .with("proxy_protocol: [\"127.0.0.0/8\"]")
        .with("limits: {connections_per_address: 1}");
    let proxy = Proxy::start(&config);
    let ask = |ip: &str| {
        let mut client = proxy.connect();
        let answer =
            client.ask(format!("PROXY TCP4 {ip} 192.0.2.1 1 2\r\n{}", request("GET", "/")));
        (client, answer)
    };
    let (_held, first) = ask("198.51.100.1");
    assert_eq!(first.text(), "ok");
    assert_eq!(ask("198.51.100.1").1.refusal(), (429, "address_connections"));
    assert_eq!(ask("198.51.100.2").1.text(), "ok");
}
