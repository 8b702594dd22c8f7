//! Sessions that stay with their pod.

use crate::client::{Answer, Client, with};
use crate::config::Config;
use crate::pod::Pod;
use crate::running::Proxy;

fn config(pods: &[&Pod]) -> Config {
    Config::default().service_of("web", pods).route(
        "name: all, backends: [web], affinity: {cookie: stay, max_age: 1h, path: /in, same_site: lax}",
    ).with("balance: round_robin")
}

/// What a browser would send back.
fn cookie(answer: &Answer) -> Option<String> {
    let set = answer.header("set-cookie")?;
    Some(set.split(';').next().unwrap().to_owned())
}

fn ask(client: &mut Client, cookie: &str) -> Answer {
    client.ask(with("GET", "/in", &format!("Cookie: a=b; {cookie}\r\n")))
}

#[test]
fn a_session_stays_with_its_pod_and_is_told_once() {
    let pods = ["one", "two", "three"].map(Pod::named);
    let proxy = Proxy::start(&config(&pods.each_ref()));
    let mut client = proxy.connect();
    let answer = client.ask(with("GET", "/in", ""));
    let set = answer.header("set-cookie").unwrap();
    for part in ["; Path=/in", "; Max-Age=3600", "; SameSite=Lax", "; HttpOnly"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(set.starts_with("stay=") && !set.contains("Secure"), "{set}");
    let (session, pod) = (cookie(&answer).unwrap(), answer.text());
    for _ in 0..30 {
        let answer = ask(&mut client, &session);
        assert_eq!((answer.text(), cookie(&answer)), (pod.clone(), None));
    }
}

#[test]
fn a_session_whose_pod_goes_is_bound_to_another_one() {
    let pods = ["one", "two"].map(Pod::named);
    let proxy = Proxy::start(&config(&pods.each_ref()));
    let mut client = proxy.connect();
    let answer = client.ask(with("GET", "/in", ""));
    let (session, pod) = (cookie(&answer).unwrap(), answer.text());
    let (gone, other) = if pod == "one" { (0, 1) } else { (1, 0) };

    proxy.reload(&config(&[&pods[other]]));
    let answer = ask(&mut client, &session);
    let moved = cookie(&answer).unwrap();
    assert_ne!((answer.text(), &moved), (pod.clone(), &session));

    // It comes back: the session stays where it is now, and the old cookie still means the old pod.
    proxy.reload(&config(&pods.each_ref()));
    for _ in 0..20 {
        let answer = ask(&mut client, &moved);
        assert_ne!((answer.text(), cookie(&answer)), (pod.clone(), None));
        assert_eq!(ask(&mut client, &session).text(), pod);
    }
    assert!(pods[gone].requests() > 20);
}

#[test]
fn a_cookie_that_was_not_signed_here_binds_nothing() {
    let pods = ["one", "two"].map(Pod::named);
    let proxy = Proxy::start(&config(&pods.each_ref()));
    let mut client = proxy.connect();
    let real = cookie(&client.ask(with("GET", "/in", ""))).unwrap();
    let flipped = |at: usize| {
        let mut forged = real.clone().into_bytes();
        forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(forged).unwrap()
    };
    let forged = [
        flipped("stay=".len()),
        flipped(real.len() - 2),
        real[..real.len() - 1].to_owned(),
        format!("{real}A"),
        "stay=".to_owned(),
        format!("stay={}", "A".repeat(4000)),
        format!("stay={}", pods[0].address()),
    ];
    for cookie_sent in forged {
        let answers: Vec<_> = (0..20).map(|_| ask(&mut client, &cookie_sent)).collect();
        assert!(answers.iter().all(|answer| cookie(answer).is_some()), "{cookie_sent}");
        let first = answers[0].text();
        assert!(answers.iter().any(|answer| answer.text() != first), "{cookie_sent}");
    }
}
