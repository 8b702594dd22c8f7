//! Which pod gets a request, what is tried again, and what happens when pods fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::client::{request, with};
use crate::config::Config;
use crate::gate::Gate;
use crate::pod::Pod;
use crate::running::{Proxy, until};

const NO_EJECTION: &str = "ejection: {consecutive: 0}";

#[test]
fn a_refused_connection_is_tried_elsewhere_whatever_the_request() {
    let (dead, pod) = (Pod::refusing(), Pod::named("ok"));
    let config = Config::to(&[&dead, &pod]).with("balance: round_robin").with(NO_EJECTION);
    let proxy = Proxy::start(&config);
    let mut client = proxy.connect();
    for at in 0..20 {
        let body = format!("Content-Length: 4\r\n\r\n{at:04}");
        let post = request("POST", "/").replace("\r\n\r\n", "\r\n") + &body;
        assert_eq!(client.ask(post).text(), "ok");
        assert_eq!(pod.last().body, format!("{at:04}").into_bytes());
    }
    let page = proxy.rests();
    let retries = page.value("podmeter_proxy_retries_total", &[]).unwrap();
    assert!((10.0..=20.0).contains(&retries), "{retries}");
}

#[test]
fn only_what_may_be_done_twice_is_sent_again_after_a_reset() {
    let (bad, good) = (Pod::once(""), Pod::named("ok"));
    let config = Config::to(&[&bad, &good]).with("balance: round_robin").with(NO_EJECTION);
    let proxy = Proxy::start(&config);
    let mut client = proxy.connect();
    let mut statuses = |request: String| -> Vec<_> {
        let answers = (0..4).map(|_| client.ask(&request));
        answers
            .map(|answer| (answer.status, answer.header("podmeter-reason").map(str::to_owned)))
            .collect()
    };
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
        let request = with(method, "/", "Content-Length: 0\r\n");
        let request = if method == "HEAD" { continue } else { request };
        assert_eq!(statuses(request), vec![(200, None); 4], "{method}");
    }
    for head in ["POST", "PATCH"].map(|method| with(method, "/", "Content-Length: 4\r\n") + "body")
    {
        let mut seen = statuses(head);
        seen.sort();
        let reset = (502, Some("reset".to_owned()));
        assert_eq!(seen, [(200, None), (200, None), reset.clone(), reset]);
    }
    // Each of the six that failed for good was sent to one pod only.
    let sent_to_bad = bad.seen().requests.iter().filter(|it| it.asked().starts_with('P')).count();
    assert!(sent_to_bad >= 4, "{sent_to_bad}");
    let posts = |pod: &Pod| pod.seen().requests.iter().filter(|it| it.asked() == "POST /").count();
    assert_eq!(posts(&bad) + posts(&good), 4);
    proxy.counts(
        "http_client_request_duration_seconds_count",
        &[("error_type", "reset"), ("http_request_method", "POST")],
        2.0,
    );
}

#[test]
fn a_client_that_calls_its_request_grpc_takes_no_pod_of_http1_out() {
    let pod = Pod::named("ok");
    let config = Config::to(&[&pod]).with("ejection: {consecutive: 1, pause: 1h, max_pause: 1h}");
    let proxy = Proxy::start(&config);
    for _ in 0..3 {
        let answer = proxy.ask(&with("GET", "/", "Content-Type: application/grpc\r\n"));
        assert_eq!(answer.status, 502, "the pod speaks HTTP/1");
    }
    assert_eq!(proxy.ask(&request("GET", "/")).text(), "ok");
    assert_eq!(proxy.said("failed too often"), 0);
}

#[test]
fn retries_end_with_the_budget() {
    let bad = [Pod::once(""), Pod::once("")];
    let config = Config::to(&[&bad[0], &bad[1]])
        .with(NO_EJECTION)
        .with("retry: {attempts: 1, budget_percent: 0, budget_min: 1}");
    let proxy = Proxy::start(&config);
    let mut client = proxy.connect();
    for _ in 0..40 {
        assert_eq!(client.ask(request("GET", "/")).refusal(), (502, "reset"));
    }
    // Ten seconds' worth is saved up, and each second adds one.
    let retries = bad[0].requests() + bad[1].requests() - 40;
    assert!((10..20).contains(&retries), "{retries}");
    proxy.counts("podmeter_proxy_retries_total", &[], f64::from(u32::try_from(retries).unwrap()));
}

#[test]
fn a_pod_that_fails_gets_a_pause_and_a_trial_and_then_its_share_again() {
    let is_broken = Arc::new(AtomicBool::new(true));
    let of_pod = is_broken.clone();
    let weak = Pod::new(move |link| {
        while link.read().is_some() && !of_pod.load(Relaxed) {
            link.say("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nweak");
        }
    });
    let good = Pod::named("good");
    let config = Config::to(&[&weak, &good])
        .with("balance: round_robin")
        .with("ejection: {consecutive: 2, pause: 500ms, max_pause: 500ms}");
    let proxy = Proxy::start(&config);
    let mut client = proxy.connect();
    let mut ask = || client.ask(request("GET", "/")).text();
    for _ in 0..50 {
        assert_eq!(ask(), "good");
    }
    // Two failures, and perhaps a trial for each half second that this took.
    assert!(weak.requests() < 10, "{}", weak.requests());
    assert!(proxy.said("failed too often in a row") >= 1);
    is_broken.store(false, Relaxed);
    until("its first answer", || (ask() == "weak").then_some(()));
    let answers: Vec<_> = (0..20).map(|_| ask()).collect();
    assert_eq!(answers.iter().filter(|answer| *answer == "weak").count(), 10);
}

#[test]
fn a_pod_gets_no_more_requests_at_once_than_it_may() {
    let gate = Gate::default();
    let of_pod = gate.clone();
    let pod = Pod::new(move |link| {
        while link.read().is_some() {
            of_pod.wait();
            link.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
        }
    });
    let proxy = Proxy::start(&Config::to(&[&pod]).with("limits: {backend_connections: 2}"));
    let mut held = [proxy.connect(), proxy.connect()];
    for client in &mut held {
        client.send(request("GET", "/"));
    }
    until("both requests", || (pod.requests() == 2).then_some(()));
    let mut third = proxy.connect();
    let answer = third.ask(request("GET", "/"));
    assert_eq!((answer.refusal(), answer.header("retry-after")), ((503, "overloaded"), Some("1")));
    gate.open();
    for client in &mut held {
        assert_eq!(client.answer().text(), "ok");
    }
    assert_eq!(third.ask(request("GET", "/")).text(), "ok");
    proxy.counts("podmeter_proxy_refused_total", &[("reason", "overloaded")], 1.0);
}

#[test]
fn without_a_pod_that_lives_the_answer_says_why() {
    let dead = [Pod::refusing(), Pod::refusing()];
    let config = Config::to(&[&dead[0], &dead[1]])
        .service("name: empty, endpoints: []")
        .route("name: empty, host: a.test, path: /empty, backends: [empty]");
    let proxy = Proxy::start(&config);
    let mut client = proxy.connect();
    for _ in 0..20 {
        assert_eq!(client.ask(request("GET", "/")).refusal(), (502, "connect_refused"));
    }
    let answer = client.ask(request("GET", "/empty"));
    assert_eq!(answer.refusal(), (503, "no_endpoint"));
    proxy.counts("podmeter_proxy_refused_total", &[("reason", "no_endpoint")], 1.0);
    let labels = [("error_type", "connect_refused")];
    proxy.counts("http_server_request_duration_seconds_count", &labels, 20.0);
}

#[test]
fn pods_of_the_own_node_go_first_and_others_step_in() {
    let (near, far) = (Pod::named("near"), Pod::named("far"));
    let config = |near: &Pod| {
        let mapping = format!(
            "name: web, endpoints: [{{address: \"{}\", node: n1}}, {{address: \"{}\", node: n2}}]",
            near.address(),
            far.address()
        );
        Config::default()
            .with("prefer: same_node")
            .service(&mapping)
            .route("name: all, backends: [web]")
    };
    let proxy = Proxy::start(&config(&near));
    let mut client = proxy.connect();
    for _ in 0..20 {
        assert_eq!(client.ask(request("GET", "/")).text(), "near");
    }
    proxy.reload(&config(&Pod::refusing()));
    for _ in 0..20 {
        assert_eq!(client.ask(request("GET", "/")).text(), "far");
    }
}

#[test]
fn every_way_of_balancing_uses_all_pods() {
    for balance in ["round_robin", "least_request", "peak_ewma"] {
        let pods = ["one", "two", "three"].map(Pod::named);
        let config = Config::to(&pods.each_ref()).with(&format!("balance: {balance}"));
        let proxy = Proxy::start(&config);
        let mut client = proxy.connect();
        (0..90).for_each(|_| assert_eq!(client.ask(request("GET", "/")).status, 200));
        let shares = pods.each_ref().map(Pod::requests);
        assert!(shares.iter().all(|share| *share > 0), "{balance}: {shares:?}");
        assert!(balance != "round_robin" || shares == [30; 3], "{shares:?}");
    }
}

#[test]
fn a_kept_connection_that_closes_under_a_request_costs_none_that_may_be_sent_again() {
    // Answers every other request of a connection, and closes it without a word with the next one.
    let pod = Pod::new(|link| {
        if link.read().is_some() {
            link.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
            let _ = link.head();
        }
    });
    let proxy = Proxy::start(&Config::to(&[&pod]).with("retry: {attempts: 0}"));
    let mut client = proxy.connect();
    for _ in 0..20 {
        assert_eq!(client.ask(request("GET", "/")).text(), "ok");
    }
    assert_eq!(pod.requests(), 20);
    let page = proxy.rests();
    let mut errors = page.samples("podmeter_http_backend_errors_total", &[]);
    assert!(errors.all(|sample| sample.value == 0.0));
}

#[test]
fn a_kept_connection_that_the_pod_closed_costs_no_request() {
    let pod = Pod::once("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    let proxy = Proxy::start(&Config::to(&[&pod]).with("retry: {attempts: 0}"));
    let mut client = proxy.connect();
    for at in 0..30 {
        let post = with("POST", "/", "Content-Length: 4\r\n") + "body";
        assert_eq!(client.ask(post).text(), "ok", "{at}");
        pod.closed(at + 1);
    }
    assert_eq!(pod.requests(), 30);
}
