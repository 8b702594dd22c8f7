//! HTTP/2 from clients and to pods.

use std::io::Write;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use hyper::body::Frame;
use rustix::process::Signal;

use crate::client::{request, with};
use crate::config::Config;
use crate::frames::{
    END_HEADERS, END_STREAM, GET, GOAWAY, HEADERS, PING, RST_STREAM, Raw, SETTINGS,
};
use crate::gate::Gate;
use crate::http2::{Http2, Http2Pod, get, pieces, post};
use crate::pod::Pod;
use crate::running::{Proxy, until};

#[test]
fn many_requests_share_a_connection() {
    let pod = Pod::named("ok");
    let proxy = Proxy::to(&[&pod]);
    let mut client = Http2::connect(proxy.address());
    for _ in 0..4 {
        let answers = client.ask_all((0..50).map(|at| get(&format!("/{at}"))));
        assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == "ok"));
    }
    assert_eq!(pod.requests(), 200);
    let answer = client.ask(post("/p", "body"));
    assert_eq!((answer.status.as_u16(), pod.last().body.as_slice()), (200, &b"body"[..]));
    assert_eq!(pod.last().header("host"), Some("a.test"));
    let page = proxy.counts("http_server_request_duration_seconds_count", &[], 201.0);
    assert_eq!(page.value("podmeter_proxy_connections", &[]), Some(1.0));
}

#[test]
fn what_http2_writes_differently_is_as_http1_has_it() {
    let pod = Pod::named("ok");
    let proxy = Proxy::to(&[&pod]);
    let mut client = Http2::connect(proxy.address());
    let mut asked = get("/");
    for cookie in ["a=1", "b=2"] {
        asked.headers_mut().append("cookie", HeaderValue::from_static(cookie));
    }
    client.ask(asked);
    assert_eq!(pod.last().header("cookie"), Some("a=1; b=2"));
    assert_eq!(pod.last().head.lines().next(), Some("GET / HTTP/1.1"));
    let mut asked = get("/");
    *asked.uri_mut() = "http://nowhere.test/".parse().unwrap();
    assert_eq!(client.ask(asked).status, 200);
    assert_eq!(pod.last().header("host"), Some("nowhere.test"));
}

#[test]
fn grpc_goes_to_pods_over_http2_with_its_trailers() {
    let pod = Http2Pod::new();
    let proxy = Proxy::start(&Config::at(&[pod.address]));
    let mut client = Http2::connect(proxy.address());
    let mut after = HeaderMap::new();
    after.insert("x-mine", HeaderValue::from_static("1"));
    let frames = [Frame::data(Bytes::from("\0\0\0\0\x02hi")), Frame::trailers(after)];
    let mut asked = post("/pkg.Service/Method", "x").map(|_| pieces(frames.into_iter()));
    asked.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc+proto"));
    asked.headers_mut().insert("te", HeaderValue::from_static("trailers"));
    let answer = client.ask(asked);
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"\0\0\0\0\x02hi"[..]));
    assert_eq!(
        (&answer.headers["content-type"], &answer.trailers["grpc-status"]),
        (&HeaderValue::from_static("application/grpc"), &HeaderValue::from_static("0"))
    );
    let seen = pod.asked().pop().unwrap();
    assert_eq!(seen.line, "POST http://a.test/pkg.Service/Method");
    assert_eq!(
        (&seen.headers["te"], &seen.trailers["x-mine"]),
        (&HeaderValue::from_static("trailers"), &HeaderValue::from_static("1"))
    );
    assert_eq!(&seen.body[..], b"\0\0\0\0\x02hi");
}

#[test]
fn a_service_of_h2c_is_spoken_to_so_whatever_the_client_speaks() {
    let pod = Http2Pod::new();
    let mapping = format!("name: web, protocol: h2c, endpoints: [\"{}\"]", pod.address);
    let config = Config::default().service(&mapping).route("name: all, backends: [web]");
    let mut proxy = Proxy::start(&config.with("drain: {delay: 0s, timeout: 20s}"));
    let mut client = proxy.connect();
    for at in 0..10 {
        let answer = client.ask(with("POST", "/x", "Content-Length: 4\r\n") + &format!("{at:04}"));
        assert_eq!(answer.text(), format!("{at:04}"));
    }
    let asked = pod.asked();
    assert_eq!((asked.len(), asked[0].line.as_str()), (10, "POST http://a.test/x"));
    assert!(!asked[0].headers.contains_key("host") && !asked[0].headers.contains_key("connection"));
    proxy.counts("http_client_request_duration_seconds_count", &[], 10.0);
    // The connection that is kept for the next request does not keep the proxy.
    let told = std::time::Instant::now();
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.ended(), Some(0));
    assert!(told.elapsed() < std::time::Duration::from_secs(10), "{:?}", told.elapsed());
}

#[test]
fn more_streams_than_a_connection_takes_go_over_another_one() {
    let pod = Http2Pod::gathering(250);
    let config = Config::default()
        .service(&format!(
            "name: web, protocol: h2c, endpoints: [{{address: \"{}\"}}]",
            pod.address
        ))
        .route("name: web, backends: [web]")
        .with("workers: 1");
    let proxy = Proxy::start(&config);
    let clients: Vec<_> = (0..5)
        .map(|_| {
            let mut client = Http2::connect(proxy.address());
            std::thread::spawn(move || client.ask_all((0..50).map(|at| get(&format!("/{at}")))))
        })
        .collect();
    for client in clients {
        assert!(client.join().unwrap().iter().all(|answer| answer.status == 200));
    }
    proxy.counts("http_client_request_duration_seconds_count", &[], 250.0);
}

#[test]
fn a_request_that_the_client_gives_up_ends_at_the_pod_and_the_others_go_on() {
    let pod = Pod::new(|link| {
        while let Some(head) = link.head() {
            if head.starts_with("GET /ok ") {
                link.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                continue;
            }
            link.say("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n");
            while link.say([b'x'; 1024]) {}
            return;
        }
    });
    let proxy = Proxy::to(&[&pod]);
    let mut client = Http2::connect(proxy.address());
    let mut long = client.begin(get("/long")).unwrap();
    client.some(&mut long, 100_000);
    assert_eq!(client.ask(get("/ok")).body, "ok");
    drop(long);
    pod.closed(1);
    assert_eq!(client.ask(get("/ok")).body, "ok");
    let gone = [("error_type", "client_gone"), ("http_response_status_code", "200")];
    proxy.counts("http_client_request_duration_seconds_count", &gone, 1.0);
    proxy.rests();
}

#[test]
fn large_bodies_go_both_ways_without_being_held() {
    const LARGE: usize = 64 << 20;
    const PIECE: &[u8] = &[b'z'; 16 << 10];
    let pod = Pod::new(|link| {
        let _ = link.head();
        let mut left = LARGE;
        while left > 0 {
            let Some(line) = link.line() else { return };
            let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
            assert!(link.take(size).unwrap().iter().all(|byte| *byte == b'z'));
            link.take(2);
            left -= size;
        }
        link.take(5);
        link.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n"));
        for _ in 0..LARGE / PIECE.len() {
            link.say(PIECE);
        }
    });
    let proxy = Proxy::to(&[&pod]);
    let mut client = Http2::connect(proxy.address());
    client.ask_all(std::iter::empty());
    let before = proxy.resident();
    let frames = (0..LARGE / PIECE.len()).map(|_| Frame::data(Bytes::from_static(PIECE)));
    let mut answer = client.begin(post("/", "x").map(|_| pieces(frames))).unwrap();
    let after_upload = proxy.resident();
    let half = client.some(&mut answer, LARGE / 2);
    let most = proxy.resident().max(after_upload);
    assert_eq!(client.some(&mut answer, LARGE - half), LARGE - half);
    assert!(most < before + (16 << 20), "it grew by {} bytes", most - before);
}

#[test]
fn streams_beyond_the_limit_are_refused_and_may_be_tried_again() {
    let gate = Gate::default();
    let of_pod = gate.clone();
    let pod = Pod::new(move |link| {
        while link.read().is_some() {
            of_pod.wait();
            link.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let proxy = Proxy::start(&Config::to(&[&pod]).with("limits: {streams: 2}"));
    let mut client = Raw::connect(&proxy);
    let (_, settings) = client.next(SETTINGS).unwrap();
    assert!(settings.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 2]), "{settings:?}");
    for stream in [1, 3, 5] {
        client.send(HEADERS, END_STREAM | END_HEADERS, stream, GET);
    }
    let refused = 7_u32.to_be_bytes().to_vec();
    assert_eq!(client.next(RST_STREAM), Some((5, refused)));
    until("the others", || (pod.requests() == 2).then_some(()));
    gate.open();
    assert!(client.next(HEADERS).is_some() && client.next(HEADERS).is_some());
    client.send(HEADERS, END_STREAM | END_HEADERS, 7, GET);
    assert_eq!(client.next(HEADERS).map(|(stream, _)| stream), Some(7));
}

#[test]
fn a_client_that_floods_is_cut_off_and_costs_no_line_in_the_log() {
    let pod = Pod::named("ok");
    let proxy = Proxy::to(&[&pod]);
    // What carries nothing.
    let mut client = Raw::connect(&proxy);
    let ping = [0, 0, 8, PING, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8].repeat(500);
    let _ = client.0.write_all(&ping);
    while client.next(PING).is_some() {}
    proxy.counts("podmeter_proxy_refused_total", &[("reason", "http2_flood")], 1.0);
    // Requests that are taken back at once.
    let mut client = Raw::connect(&proxy);
    for stream in (1..1001).step_by(2) {
        client.send(HEADERS, END_STREAM | END_HEADERS, stream, GET);
        client.send(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    }
    while client.next(HEADERS).is_some() {}
    assert_eq!(proxy.ask(&request("GET", "/")).text(), "ok");
    proxy.rests();
    assert!(pod.requests() < 500);
    assert_eq!(proxy.said("\"WARN\""), 0);
}

#[test]
fn heads_that_are_too_much_end_in_a_refusal() {
    let pod = Pod::named("ok");
    let proxy = Proxy::start(&Config::to(&[&pod]).with("limits: {headers: 20, head_bytes: 8KiB}"));
    let mut client = Http2::connect(proxy.address());
    let mut asked = get("/");
    asked.headers_mut().insert("x-large", HeaderValue::from_str(&"x".repeat(20_000)).unwrap());
    if let Ok(answer) = client.begin(asked) {
        assert_eq!(answer.status(), 431);
    }
    let mut client = Http2::connect(proxy.address());
    let mut asked = get("/");
    for at in 0..50 {
        let name = http::HeaderName::try_from(format!("x-{at}")).unwrap();
        asked.headers_mut().insert(name, HeaderValue::from_static("1"));
    }
    assert_eq!(client.ask(asked).status, 431);
    assert_eq!(pod.requests(), 0);
}

#[test]
fn a_proxy_that_ends_says_goaway_and_finishes_what_is_under_way() {
    let gate = Gate::default();
    let of_pod = gate.clone();
    let pod = Pod::new(move |link| {
        while link.read().is_some() {
            of_pod.wait();
            link.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let mut proxy = Proxy::start(&Config::to(&[&pod]).with("drain: {delay: 0s, timeout: 20s}"));
    let mut client = Raw::connect(&proxy);
    client.send(HEADERS, END_STREAM | END_HEADERS, 1, GET);
    until("the request", || (pod.requests() == 1).then_some(()));
    let mut idle = Http2::connect(proxy.address());
    proxy.signal(Signal::TERM);
    let (_, said) = client.next(GOAWAY).unwrap();
    assert_eq!(said[4..8], [0; 4], "no error");
    idle.ended();
    gate.open();
    assert!(client.next(HEADERS).is_some());
    drop(client);
    assert_eq!(proxy.ended(), Some(0));
}
