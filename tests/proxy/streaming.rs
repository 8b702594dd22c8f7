//! Bodies of all sizes and forms, both ways, and what may be said before and behind them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use crate::client::{request, with};
use crate::config::Config;
use crate::pod::Pod;
use crate::running::{Proxy, until};

const LARGE: usize = 64 << 20;
const PIECE: usize = 64 << 10;
/// More than buffers on the way take, and far less than a body.
const GROWTH: u64 = 16 << 20;

/// Says so many bytes, and counts them as the kernel takes them.
fn talking(bytes: usize) -> (Pod, Arc<AtomicUsize>) {
    let said = Arc::new(AtomicUsize::new(0));
    let of_pod = said.clone();
    let pod = Pod::new(move |link| {
        let piece = vec![b'x'; PIECE];
        while link.read().is_some() {
            link.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n"));
            for _ in 0..bytes / PIECE {
                if !link.say(&piece) {
                    return;
                }
                of_pod.fetch_add(PIECE, Relaxed);
            }
        }
    });
    (pod, said)
}

#[test]
fn a_large_body_goes_down_without_being_held() {
    let (pod, _) = talking(LARGE);
    let proxy = Proxy::to(&[&pod]);
    let mut client = proxy.connect();
    client.send(request("GET", "/"));
    let head = client.head();
    assert_eq!(head.header("content-length"), Some(&*LARGE.to_string()));
    let before = proxy.resident();
    let mut most = 0;
    for _ in 0..LARGE / PIECE {
        assert!(client.take(PIECE).iter().all(|byte| *byte == b'x'));
        most = most.max(proxy.resident());
    }
    assert!(most < before + GROWTH, "it grew by {} bytes", most - before);
    proxy.counts("podmeter_http_route_response_bytes_total", &[], LARGE as f64);
}

#[test]
fn a_large_body_goes_up_without_being_held() {
    let pod = Pod::new(|link| {
        while let Some(head) = link.head() {
            assert!(head.contains("content-length: 67108864"), "{head}");
            let mut left = LARGE;
            while left > 0 {
                let Some(some) = link.some() else { return };
                assert!(some.iter().all(|byte| *byte == b'y'));
                left -= some.len();
            }
            link.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let proxy = Proxy::to(&[&pod]);
    let mut client = proxy.connect();
    let before = proxy.resident();
    client.send(with("PUT", "/", &format!("Content-Length: {LARGE}\r\n")));
    let (mut most, piece) = (0, vec![b'y'; PIECE]);
    for _ in 0..LARGE / PIECE {
        client.send(&piece);
        most = most.max(proxy.resident());
    }
    assert_eq!(client.answer().text(), "ok");
    assert!(most < before + GROWTH, "it grew by {} bytes", most - before);
    proxy.counts("podmeter_http_route_request_bytes_total", &[], LARGE as f64);
}

#[test]
fn a_client_that_reads_slowly_slows_the_pod_down() {
    let (pod, said) = talking(LARGE);
    let proxy = Proxy::to(&[&pod]);
    let mut client = proxy.connect();
    let before = proxy.resident();
    client.send(request("GET", "/"));
    let head = client.head();
    // Until nothing has moved in the time in which all of it could have gone.
    let mut last = (0, 0);
    until("the pod to stand still", || {
        thread::sleep(Duration::from_millis(20));
        let now = said.load(Relaxed);
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
        (last.1 == 25).then_some(())
    });
    assert!(last.0 < LARGE / 2, "{} bytes went into nowhere", last.0);
    assert!(proxy.resident() < before + GROWTH);
    assert_eq!(client.with_body(head).body.len(), LARGE);
}

#[test]
fn a_client_that_goes_ends_the_request_to_the_pod() {
    let (pod, _) = talking(LARGE);
    let proxy = Proxy::to(&[&pod]);
    let mut client = proxy.connect();
    client.send(request("GET", "/"));
    client.take(1 << 20);
    drop(client);
    pod.closed(1);
    let gone = [("error_type", "client_gone")];
    proxy.counts("http_client_request_duration_seconds_count", &gone, 1.0);
    proxy.rests();
    proxy.counts("podmeter_proxy_connections", &[], 0.0);
}

#[test]
fn chunks_and_trailers_go_both_ways() {
    let pod = Pod::saying(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n5\r\nhello\r\n6;e=1\r\n world\r\n0\r\nx-sum: 42\r\n\r\n",
    );
    let proxy = Proxy::to(&[&pod]);
    let mut client = proxy.connect();
    let head =
        with("POST", "/", "Transfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: x-mine\r\n");
    let answer = client.ask(head + "2\r\nbo\r\n2\r\ndy\r\n0\r\nx-mine: 1\r\n\r\n");
    assert_eq!((answer.text(), answer.trailers.as_str()), ("hello world".into(), "x-sum: 42\r\n"));
    let got = pod.last();
    assert_eq!((got.body.as_slice(), got.trailers.as_str()), (&b"body"[..], "x-mine: 1\r\n"));
    assert_eq!(client.ask(request("GET", "/")).text(), "hello world", "the connection goes on");
    // Whole answers, and the pod's connection goes on as well.
    let page = proxy.counts("http_client_request_duration_seconds_count", &[], 2.0);
    let labels = [("error_type", "client_gone")];
    assert_eq!(page.value("http_client_request_duration_seconds_count", &labels), None);
    assert_eq!(page.value("http_server_request_duration_seconds_count", &labels), None);
    assert_eq!(pod.seen().connections, 1);
}

#[test]
fn the_body_of_a_get_without_a_length_is_passed_on() {
    let pod = Pod::named("ok");
    let proxy = Proxy::to(&[&pod]);
    let asked = with("GET", "/_search", "Transfer-Encoding: chunked\r\n") + "2\r\n{}\r\n0\r\n\r\n";
    assert_eq!(proxy.ask(&asked).text(), "ok");
    assert_eq!(pod.last().body, b"{}");
}

#[test]
fn answers_without_a_body_are_whole_and_keep_both_connections() {
    let pod = Pod::new(|link| {
        while let Some(request) = link.read() {
            let answer = match request.asked() {
                "HEAD /" => "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n",
                "GET /204" => "HTTP/1.1 204 No Content\r\n\r\n",
                "GET /304" => "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n",
                "GET /empty" => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
                "GET /chunked" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
                "GET /hints" => {
                    "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
                }
                other => panic!("{other}"),
            };
            link.say(answer);
        }
    });
    let proxy = Proxy::start(&Config::to(&[&pod]).with("workers: 1"));
    let mut client = proxy.connect();
    client.send(request("HEAD", "/"));
    assert_eq!(client.head().header("content-length"), Some("1000"));
    for (target, status, body) in [
        ("/204", 204, ""),
        ("/304", 304, ""),
        ("/empty", 200, ""),
        ("/chunked", 200, ""),
        ("/hints", 200, "ok"),
    ] {
        let answer = client.ask(request("GET", target));
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{target}");
    }
    assert_eq!(pod.seen().connections, 1);
    let page = proxy.counts("http_server_request_duration_seconds_count", &[], 6.0);
    let errors = page.all(&[]).filter(|sample| sample.labels.contains_key("error_type"));
    assert_eq!(errors.filter(|sample| sample.value > 0.0).collect::<Vec<_>>(), Vec::<&_>::new());
    proxy.counts("http_client_request_duration_seconds_count", &[], 6.0);
}

#[test]
fn a_client_that_waits_to_be_told_to_go_on_is_told_only_when_its_body_is_wanted() {
    let pod = Pod::named("ok");
    let config = Config::default()
        .service_of("web", &[&pod])
        .route("name: in, path: /in, max_body: 10, backends: [web]");
    let proxy = Proxy::start(&config);
    let head = |target: &str, bytes: usize| {
        with("POST", target, &format!("Expect: 100-continue\r\nContent-Length: {bytes}\r\n"))
    };
    let mut client = proxy.connect();
    client.send(head("/in", 4));
    assert_eq!(client.head().status, 100);
    assert_eq!(client.ask("body").text(), "ok");
    assert_eq!((pod.last().header("expect"), pod.last().body.as_slice()), (None, &b"body"[..]));

    for (target, bytes, refusal) in
        [("/out", 4, (404, "no_route")), ("/in", 11, (413, "body_too_large"))]
    {
        let mut client = proxy.connect();
        client.send(head(target, bytes));
        // No 100 before it.
        let head = client.head();
        assert_eq!(client.with_body(head).refusal(), refusal);
    }
    let mut client = proxy.connect();
    let odd = with("POST", "/in", "Expect: a-miracle\r\nContent-Length: 4\r\n") + "body";
    assert_eq!(client.ask(odd).refusal(), (417, "expectation"));
    assert_eq!(pod.requests(), 1);
}

#[test]
fn old_clients_are_answered_in_their_way() {
    let pod =
        Pod::saying("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    let proxy = Proxy::to(&[&pod]);
    let mut client = proxy.connect();
    let answer = client.ask("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");
    assert_eq!((answer.text().as_str(), answer.header("transfer-encoding")), ("hello", None));
    assert_eq!(pod.last().head.lines().next(), Some("GET / HTTP/1.1"));

    let pod = Pod::named("ok");
    let proxy = Proxy::to(&[&pod]);
    let mut client = proxy.connect();
    for _ in 0..3 {
        let answer = client.ask("GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(
            (answer.text().as_str(), answer.header("connection")),
            ("ok", Some("keep-alive"))
        );
    }
}

#[test]
fn an_answer_without_a_length_ends_with_its_connection_and_one_that_breaks_off_is_never_whole() {
    let pod = Pod::once("HTTP/1.1 200 OK\r\n\r\nall there is");
    let proxy = Proxy::to(&[&pod]);
    assert_eq!(proxy.ask(&request("GET", "/")).text(), "all there is");

    for broken in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf",
    ] {
        let pod = Pod::once(broken);
        let proxy = Proxy::to(&[&pod]);
        let mut client = proxy.connect();
        client.send(request("GET", "/"));
        let bytes = String::from_utf8(client.ended()).unwrap();
        assert!(!bytes.ends_with("0\r\n\r\n"), "{bytes}");
        let labels = [("error_type", "body_incomplete")];
        proxy.counts("http_client_request_duration_seconds_count", &labels, 1.0);
        proxy.counts("http_server_request_duration_seconds_count", &labels, 1.0);
    }
}

#[test]
fn connections_of_clients_and_to_pods_are_used_again() {
    let pod = Pod::named("ok");
    let proxy = Proxy::start(&Config::to(&[&pod]).with("workers: 1"));
    let mut clients: Vec<_> = (0..4).map(|_| proxy.connect()).collect();
    for at in 0..40 {
        assert_eq!(clients[at % 4].ask(request("GET", "/")).text(), "ok");
    }
    assert_eq!((pod.requests(), pod.seen().connections), (40, 1));
    proxy.counts("podmeter_proxy_connections", &[], 4.0);
    clients.clear();
    proxy.page_with("no connections", |page| {
        page.value("podmeter_proxy_connections", &[]) == Some(0.0)
    });
}
