//! Every raw request that parsers read differently, through the real binary to a pod that notes what it gets.

use std::collections::BTreeMap;

use crate::client::{Answer, Client};
use crate::pod::Pod;
use crate::running::Proxy;
use crate::smuggling::{CASES, Case, Outcome};

/// What the proxy makes of a case: requests that a pod answers, then perhaps its own answer and the end.
struct Expected {
    passed: usize,
    refused: Option<(u16, &'static str)>,
}

impl Expected {
    fn of(case: &Case) -> Self {
        match case.outcome {
            Outcome::Passes(passed) => Self { passed, refused: None },
            Outcome::Refused(passed, status, reason) | Outcome::Broken(passed, status, reason) => {
                Self { passed, refused: Some((status, reason)) }
            }
            Outcome::Forwarder(passed, status, reason) => {
                Self { passed: passed - 1, refused: Some((status, reason)) }
            }
        }
    }
}

/// Sends the bytes and reads as many answers as there are to be.
fn send(proxy: &Proxy, case: &Case, expected: &Expected) -> (Client, Vec<Answer>) {
    let mut client = proxy.connect();
    client.send(case.bytes);
    let answers = expected.passed + usize::from(expected.refused.is_some());
    let answers = (0..answers).map(|_| client.answer()).collect();
    (client, answers)
}

#[test]
fn every_dishonest_request_is_refused_for_its_reason_and_reaches_no_pod() {
    let pod = Pod::named("ok");
    let proxy = Proxy::to(&[&pod]);
    let mut refused = BTreeMap::<&str, f64>::new();
    let mut wrong = Vec::new();
    for case in CASES {
        let expected = Expected::of(case);
        let before = pod.requests();
        let (mut client, answers) = send(&proxy, case, &expected);
        let answers: Vec<_> = answers.iter().map(Answer::refusal).collect();
        let mut right = vec![(200, "a pod answered"); expected.passed];
        right.extend(expected.refused);
        if answers != right {
            wrong.push(format!("{}: {answers:?} instead of {right:?}", case.name));
        }
        if let Some((_, reason)) = expected.refused {
            *refused.entry(reason).or_default() += 1.0;
        }
        // What only the forwarder refuses is honest: the connection may go on.
        if matches!(case.outcome, Outcome::Refused(..) | Outcome::Broken(..)) {
            let more = client.ended();
            if !more.is_empty() {
                wrong.push(format!(
                    "{}: more came: {:?}",
                    case.name,
                    String::from_utf8_lossy(&more)
                ));
            }
        }
        let reached = pod.requests() - before;
        if reached != expected.passed {
            wrong.push(format!("{}: {reached} requests reached the pod", case.name));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert!(pod.seen().requests.iter().all(|request| !request.asked().contains("smuggled")));
    for (reason, count) in refused {
        proxy.counts("podmeter_proxy_refused_total", &[("reason", reason)], count);
    }
    let page = proxy.rests();
    let all = page.samples("podmeter_proxy_refused_total", &[]).map(|it| it.value).sum::<f64>();
    let known = CASES.iter().filter(|case| Expected::of(case).refused.is_some()).count();
    assert!((all - known as f64).abs() < f64::EPSILON, "{all} were refused, {known} were to be");
}

#[test]
fn what_the_pod_says_is_read_as_strictly() {
    let cases = [
        "garbage",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\n\r\nok",
        "HTTP/1.1 200 OK\r\nbad name: x\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 2\r\n\r\nok",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    ];
    for said in cases {
        let pod = Pod::once(said);
        let proxy = Proxy::to(&[&pod]);
        let answer = proxy.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(answer.refusal(), (502, "bad_response"), "{said:?}");
        assert_eq!(pod.requests(), 1, "it is not asked again: {said:?}");
    }
}

#[test]
fn a_second_answer_of_a_pod_is_nobodys() {
    let pod = Pod::new(|link| {
        while link.read().is_some() {
            link.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
        }
    });
    let proxy = Proxy::to(&[&pod]);
    let mut client = proxy.connect();
    for _ in 0..20 {
        let answer = client.ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    }
}
