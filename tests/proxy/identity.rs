//! Who the client is: the PROXY protocol, forwarding headers and traces, from those who are believed and others.

use std::net::TcpStream;

use crate::client::{Client, request, with};
use crate::config::Config;
use crate::pod::{Pod, Received};
use crate::running::Proxy;

const LOCAL: &str = "127.0.0.0/8";
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What the pod was told of the client.
fn told(received: &Received) -> [Option<&str>; 6] {
    [
        "x-forwarded-for",
        "x-real-ip",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "forwarded",
    ]
    .map(|name| received.header(name))
}

/// A header of version 2: this command, a TCP connection from `192.0.2.7:1234`, and some additions.
fn version2(command: u8) -> Vec<u8> {
    let addresses = [192, 0, 2, 7, 198, 51, 100, 1, 0x04, 0xd2, 0x01, 0xbb];
    let additions = [0xea, 0, 2, 1, 2];
    let length = u8::try_from(addresses.len() + additions.len()).unwrap();
    let start = [b"\r\n\r\n\0\r\nQUIT\n", &[command, 0x11, 0, length][..]].concat();
    [&start, &addresses[..], &additions].concat()
}

#[test]
fn whoever_is_not_trusted_tells_nothing_about_itself() {
    let pod = Pod::named("ok");
    let proxy = Proxy::to(&[&pod]);
    let mut client = proxy.connect();
    client.ask(request("GET", "/"));
    let right =
        [Some("127.0.0.1"), Some("127.0.0.1"), Some("http"), Some("a.test"), Some("80"), None];
    assert_eq!(told(&pod.last()), right);
    let forged = "X-Forwarded-For: 192.0.2.1\r\nX-Real-IP: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b.test\r\nX-Forwarded-Port: 1\r\nForwarded: for=192.0.2.1\r\nX_Forwarded_For: 192.0.2.1\r\nTrue-Client-IP: 192.0.2.1\r\nConnection: x-forwarded-for, x-real-ip\r\n";
    client.ask(with("GET", "/", forged));
    assert_eq!(told(&pod.last()), right);
    assert!(!pod.last().head.contains("192.0.2.1"), "{}", pod.last().head);
}

#[test]
fn whoever_is_trusted_is_believed_up_to_the_first_stranger() {
    let pod = Pod::named("ok");
    let config = Config::to(&[&pod])
        .with(&format!("trusted: [\"{LOCAL}\", \"10.0.0.0/8\"]"))
        .route("name: safe, host: safe.test, https_only: true, backends: [web]");
    let proxy = Proxy::start(&config);
    let mut client = proxy.connect();
    client.ask(with(
        "GET",
        "/",
        "X-Forwarded-For: 6.6.6.6, 192.0.2.9, 10.0.0.3\r\nX-Forwarded-Proto: https\r\n",
    ));
    let right = [
        Some("6.6.6.6, 192.0.2.9, 10.0.0.3, 127.0.0.1"),
        Some("192.0.2.9"),
        Some("https"),
        Some("a.test"),
        Some("443"),
        None,
    ];
    assert_eq!(told(&pod.last()), right);
    client.ask(with(
        "GET",
        "/",
        "Forwarded: for=\"[2001:db8::1]\";proto=https;host=front.test\r\n",
    ));
    let got = pod.last();
    let [of, real, proto, host, _, forwarded] = told(&got);
    assert_eq!((real, proto, host), (Some("2001:db8::1"), Some("https"), Some("front.test")));
    assert_eq!(of, Some("2001:db8::1, 127.0.0.1"));
    assert!(
        forwarded.unwrap().ends_with(", for=127.0.0.1;host=\"a.test\";proto=http"),
        "{forwarded:?}"
    );
    // It also says whether the client used TLS.
    let of = |proto: &str| {
        format!("GET / HTTP/1.1\r\nHost: safe.test\r\nX-Forwarded-Proto: {proto}\r\n\r\n")
    };
    assert_eq!((client.ask(of("http")).status, client.ask(of("https")).status), (308, 200));
}

#[test]
fn a_load_balancer_says_whose_connection_it_passes_on() {
    let pod = Pod::named("ok");
    let config = Config::to(&[&pod]).with(&format!("proxy_protocol: [\"{LOCAL}\"]"));
    let proxy = Proxy::start(&config);
    let heads: [(&[u8], &str); 6] = [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 1234 443\r\n", "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 1234 443\r\n", "2001:db8::7"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (b"PROXY UNKNOWN ff:: ff:: 1 1\r\n", "127.0.0.1"),
        (&version2(0x21), "192.0.2.7"),
        (&version2(0x20), "127.0.0.1"),
    ];
    for (head, right) in heads {
        let mut client = proxy.connect();
        client.send(head);
        assert_eq!(client.ask(request("GET", "/")).text(), "ok");
        assert_eq!(pod.last().header("x-forwarded-for"), Some(right));
        // All at once is the same as one after the other, and byte by byte.
        let mut client = proxy.connect();
        let all = [head, request("GET", "/").as_bytes()].concat();
        for byte in all {
            client.send([byte]);
        }
        assert_eq!(client.answer().text(), "ok");
        assert_eq!(pod.last().header("x-forwarded-for"), Some(right));
    }
}

#[test]
fn the_header_of_a_load_balancer_must_be_there_and_good() {
    let pod = Pod::named("ok");
    let config = Config::to(&[&pod])
        .with(&format!("proxy_protocol: [\"{LOCAL}\"]"))
        .with("timeouts: {client_head: 300ms}");
    let proxy = Proxy::start(&config);
    let absent = request("GET", "/").into_bytes();
    let wrong = [
        &*absent,
        b"PROXY TCP4 192.0.2.7 198.51.100.1 1234\r\n",
        b"PROXY TCP4 192.0.2.999 198.51.100.1 1234 443\r\n",
        b"PROXY TCP4 192.0.2.7",
        b"",
        &version2(0x31),
        &version2(0x21)[..20],
    ];
    for bytes in wrong {
        let mut client = proxy.connect();
        client.send(bytes);
        assert_eq!(client.ended(), b"", "{:?}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(pod.requests(), 0);
    let count = f64::from(u32::try_from(wrong.len()).unwrap());
    proxy.counts("podmeter_proxy_refused_total", &[("reason", "proxy_protocol")], count);
    proxy.counts("podmeter_proxy_connections", &[], 0.0);
}

#[test]
fn a_stranger_must_not_send_one() {
    let pod = Pod::named("ok");
    let config = Config::to(&[&pod]).with("proxy_protocol: [\"10.0.0.0/8\"]");
    let proxy = Proxy::start(&config);
    for head in [b"PROXY TCP4 192.0.2.7 198.51.100.1 1234 443\r\n".to_vec(), version2(0x21)] {
        let mut client = Client::over(TcpStream::connect(proxy.address()).unwrap());
        let answer = client.ask([&head, request("GET", "/").as_bytes()].concat());
        assert_eq!(answer.status, 400);
        assert!(client.ended().is_empty());
    }
    assert_eq!(proxy.ask(&request("GET", "/")).text(), "ok");
    assert_eq!(pod.requests(), 1);
}

#[test]
fn a_trace_goes_on_to_the_pod_unchanged_and_is_an_exemplar() {
    let pod = Pod::named("ok");
    let proxy = Proxy::to(&[&pod]);
    let headers = format!("traceparent: {TRACEPARENT}\r\ntracestate: a=1,b=2\r\nbaggage: k=v\r\n");
    proxy.ask(&with("GET", "/", &headers));
    let got = pod.last();
    assert_eq!(
        (got.header("traceparent"), got.header("tracestate")),
        (Some(TRACEPARENT), Some("a=1,b=2"))
    );
    assert_eq!(got.header("baggage"), Some("k=v"));
    proxy.counts("http_server_request_duration_seconds_count", &[], 1.0);
    let accept = "Accept: application/openmetrics-text; version=1.0.0\r\n";
    let page = proxy.page("/metrics", accept).unwrap();
    assert!(page.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = page.text();
    for name in [
        "http_server_request_duration_seconds_bucket",
        "http_client_request_duration_seconds_bucket",
    ] {
        let mut lines = text.lines().filter(|line| line.starts_with(name));
        let exemplar = "# {trace_id=\"0af7651916cd43dd8448eb211c80319c\"}";
        assert!(lines.any(|line| line.contains(exemplar)), "{name}: {text}");
    }
    assert!(text.ends_with("# EOF\n"));
}
