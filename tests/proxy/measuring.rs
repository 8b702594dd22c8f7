//! What the proxy says of itself: by pod, by route, by reason, and nothing after it is over.

use crate::client::{request, with};
use crate::config::Config;
use crate::gate::Gate;
use crate::native;
use crate::page::Page;
use crate::pod::Pod;
use crate::running::{Proxy, until};

const SERVER: &str = "http_server_request_duration_seconds";
const SERVER_COUNT: &str = "http_server_request_duration_seconds_count";
const SERVER_BUCKET: &str = "http_server_request_duration_seconds_bucket";
const CLIENT: &str = "http_client_request_duration_seconds";
const CLIENT_COUNT: &str = "http_client_request_duration_seconds_count";

fn value(page: &Page, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    page.value(name, labels)
}

#[test]
fn every_series_of_a_pod_and_a_route_has_its_labels_and_the_right_number() {
    let pod = Pod::new(|link| {
        while let Some(request) = link.read() {
            let status = if request.asked().ends_with("/bad") { "500 No" } else { "200 OK" };
            link.say(format!("HTTP/1.1 {status}\r\ncontent-length: 6\r\n\r\nanswer"));
        }
    });
    let service = format!(
        "name: web, labels: {{app: web, team: shop}}, endpoints: [{{address: \"{}\", name: web-1, node: n2, labels: {{team: core}}}}]",
        pod.address()
    );
    let config = Config::default()
        .service(&service)
        .route("name: shop, host: a.test, prefix: /shop, backends: [web]");
    let proxy = Proxy::start(&config);
    let mut client = proxy.connect();
    for _ in 0..7 {
        client.ask(request("GET", "/shop/x"));
    }
    client.ask(with("POST", "/shop", "Content-Length: 4\r\n") + "body");
    client.ask(request("GET", "/shop/bad"));
    client.ask(request("GET", "/elsewhere"));
    client.ask(request("BREW", "/shop"));

    let page = proxy.counts(SERVER_COUNT, &[], 11.0);
    let of_pod = [
        ("pod", "web-1"),
        ("node", "n2"),
        ("proxy_node", "n1"),
        ("label_app", "web"),
        ("label_team", "core"),
    ];
    let of_route =
        [("node", "n1"), ("route", "shop"), ("server_address", "a.test"), ("http_route", "/shop")];
    let answered =
        |method, status| [("http_request_method", method), ("http_response_status_code", status)];
    for (method, status, count) in
        [("GET", "200", 7.0), ("POST", "200", 1.0), ("GET", "500", 1.0), ("_OTHER", "200", 1.0)]
    {
        let labels = answered(method, status);
        let pod_labels = [&of_pod[..], &labels, &[("http_route", "/shop")]].concat();
        assert_eq!(value(&page, CLIENT_COUNT, &pod_labels), Some(count), "{pod_labels:?}");
        let route_labels = [&of_route[..], &labels].concat();
        assert_eq!(value(&page, SERVER_COUNT, &route_labels), Some(count));
        let infinite = [&route_labels[..], &[("le", "+Inf")]].concat();
        assert_eq!(value(&page, SERVER_BUCKET, &infinite), Some(count));
    }
    let errors: Vec<_> = page.samples(CLIENT_COUNT, &[("error_type", "500")]).collect();
    assert_eq!(errors.len(), 1);
    sums(&page, &of_pod, &of_route);
}

/// What is not told by method and status.
fn sums(page: &Page, of_pod: &[(&str, &str)], of_route: &[(&str, &str)]) {
    for (name, right) in [
        ("podmeter_http_backend_request_bytes_total", 4.0),
        ("podmeter_http_backend_response_bytes_total", 60.0),
        ("http_client_active_requests", 0.0),
        ("podmeter_http_backend_first_byte_duration_seconds_count", 10.0),
    ] {
        assert_eq!(value(page, name, of_pod), Some(right), "{name}");
    }
    let connected = "podmeter_http_backend_connect_duration_seconds_count";
    assert_eq!(value(page, connected, of_pod), Some(1.0));
    for (name, right) in [
        ("podmeter_http_route_request_bytes_total", 4.0),
        ("podmeter_http_route_response_bytes_total", 60.0),
        ("http_server_active_requests", 0.0),
        ("podmeter_proxy_retries_total", 0.0),
        ("podmeter_proxy_added_seconds_count", 10.0),
    ] {
        assert_eq!(value(page, name, of_route), Some(right), "{name}");
    }
}

#[test]
fn buckets_are_cumulative_and_native_ones_count_the_same() {
    let pod = Pod::named("ok");
    let proxy = Proxy::to(&[&pod]);
    let mut client = proxy.connect();
    (0..50).for_each(|_| assert_eq!(client.ask(request("GET", "/")).status, 200));
    let page = proxy.counts(CLIENT_COUNT, &[], 50.0);
    for name in [SERVER, CLIENT] {
        let of_buckets = format!("{name}_bucket");
        let buckets = page.samples(&of_buckets, &[]).map(|it| {
            let bound: f64 = it.labels["le"].replace("+Inf", "inf").parse().unwrap();
            (bound, it.value)
        });
        let buckets: Vec<_> = buckets.collect();
        assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{buckets:?}");
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, 50.0)));
        let sum = value(&page, &format!("{name}_sum"), &[]).unwrap();
        assert!(sum > 0.0 && sum < 30.0, "{sum}");
    }
    let answer = proxy.page("/metrics", native::ACCEPT).unwrap();
    for name in [SERVER, CLIENT] {
        let histogram = native::histogram(&answer.body, name);
        assert_eq!((histogram.count, histogram.in_buckets), (50, 50), "{name}");
    }
}

#[test]
fn a_slow_upload_is_not_the_pods_time() {
    let pod = Pod::named("ok");
    let proxy = Proxy::to(&[&pod]);
    let mut client = proxy.connect();
    client.send(with("POST", "/", "Content-Length: 12\r\n"));
    for _ in 0..12 {
        std::thread::sleep(std::time::Duration::from_millis(50));
        client.send("x");
    }
    assert_eq!(client.answer().text(), "ok");
    let page = proxy.counts(CLIENT_COUNT, &[], 1.0);
    let took = |name: &str| page.value(&format!("{name}_sum"), &[]).unwrap();
    assert!(took(SERVER) > 0.5, "{}", took(SERVER));
    assert!(took(CLIENT) < 0.3, "{}", took(CLIENT));
}

#[test]
fn requests_under_way_are_shown_while_they_are() {
    let gate = Gate::default();
    let of_pod = gate.clone();
    let pod = Pod::new(move |link| {
        while link.read().is_some() {
            of_pod.wait();
            link.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let proxy = Proxy::to(&[&pod]);
    let mut clients: Vec<_> = (0..3).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        client.send(request("GET", "/"));
    }
    until("all requests", || (pod.requests() == 3).then_some(()));
    let page = proxy.counts("http_server_active_requests", &[], 3.0);
    assert_eq!(value(&page, "http_client_active_requests", &[]), Some(3.0));
    // One client goes.
    clients.pop();
    proxy.page_with("two requests", |page| {
        page.value("http_server_active_requests", &[]) == Some(2.0)
    });
    gate.open();
    assert!(clients.iter_mut().all(|client| client.answer().status == 200));
    proxy.rests();
    let gone = [("error_type", "client_gone"), ("http_response_status_code", "499")];
    proxy.counts(SERVER_COUNT, &gone, 1.0);
}

#[test]
fn series_of_a_pod_that_left_end_after_two_more_scrapes() {
    let (old, new) = (Pod::named("old"), Pod::named("new"));
    let proxy = Proxy::to(&[&old]);
    proxy.ask(&request("GET", "/"));
    let address = old.address().to_string();
    let labels = [("pod", &*address)];
    proxy.counts(CLIENT_COUNT, &labels, 1.0);
    proxy.reload(&Config::to(&[&new]));
    assert_eq!(proxy.ask(&request("GET", "/")).text(), "new");
    let mut last = 0;
    until("the end of its series", || {
        let page = proxy.scrape();
        let left = page.samples(CLIENT_COUNT, &labels).count();
        last += usize::from(left > 0);
        (left == 0).then_some(())
    });
    assert!(last >= 2, "it was there for {last} scrapes more");
    // What is known of the route stays.
    proxy.counts(SERVER_COUNT, &[], 2.0);
}

#[test]
fn beyond_the_limit_all_is_counted_in_one_series() {
    let pod = Pod::new(|link| {
        while let Some(request) = link.read() {
            let status = request.asked().rsplit('/').next().unwrap().to_owned();
            link.say(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n"));
        }
    });
    let proxy = Proxy::start(&Config::to(&[&pod]).with("limits: {series: 16}"));
    let mut client = proxy.connect();
    for status in 200..300 {
        if status != 204 && status != 205 {
            client.ask(request("GET", &format!("/{status}")));
        }
    }
    let page = proxy.counts(SERVER_COUNT, &[], 98.0);
    let series = [SERVER_COUNT, CLIENT_COUNT].map(|name| page.samples(name, &[]).count());
    assert!(series[0] + series[1] <= 18, "{series:?}");
    let beyond = [("otel_metric_overflow", "true")];
    assert!(value(&page, SERVER_COUNT, &beyond).unwrap() > 80.0);
    assert!(value(&page, "podmeter_proxy_series_overflow_total", &[]).unwrap() > 160.0);
}

#[test]
fn every_way_to_fail_has_its_word() {
    let cases: [(&str, &[(&str, &str)]); 3] = [
        ("garbage", &[("error_type", "bad_response"), ("http_response_status_code", "502")]),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
            &[("error_type", "body_incomplete"), ("http_response_status_code", "200")],
        ),
        (
            "HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n",
            &[("error_type", "503"), ("http_response_status_code", "503")],
        ),
    ];
    for (said, labels) in cases {
        let pod = Pod::once(said);
        let proxy = Proxy::to(&[&pod]);
        let mut client = proxy.connect();
        client.send(request("POST", "/").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
        client.ended();
        let page = proxy.counts(SERVER_COUNT, labels, 1.0);
        let error = &labels[..1];
        assert_eq!(page.samples(CLIENT_COUNT, error).count(), 1, "{said}");
    }
}
