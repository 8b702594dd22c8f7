//! The agent's own certificate, and what becomes of it.

use crate::authority::Ca;
use crate::client::Client;
use crate::page::Page;
use crate::running::{Agent, Place, TLS, until};

#[test]
fn another_certificate_is_shown_without_a_restart_and_a_broken_one_never() {
    let (old, new, place) = (Ca::new("old"), Ca::new("new"), Place::new());
    place.certify(&old);
    let agent = Agent::start(place, None, TLS, "info");
    let ask = |ca: &Ca| Client::secure(agent.address, ca, None)?.get("/metrics", "");
    let page = |ca: &Ca| ask(ca).ok().filter(|reply| reply.status == 200);
    let mut kept = Client::secure(agent.address, &old, None).unwrap();
    until("the first page", || kept.get("/metrics", "").ok().filter(|it| it.status == 200));
    assert!(ask(&new).is_err());

    agent.place.certify(&new);
    until("the new certificate", || page(&new));
    assert!(ask(&old).is_err(), "the old one is shown no more");

    agent.place.put("tls.crt", "garbage");
    let faults = |reply: &str| {
        let page = Page::parse(reply);
        let faults = page.all(&[]).filter(|sample| sample.name == "podmeter_tls_faults");
        faults.map(|sample| sample.value).sum::<f64>()
    };
    until("the fault", || page(&new).filter(|reply| faults(&reply.body) > 0.0));
    assert_eq!(agent.said("the certificate chain holds none"), 1, "{}", agent.log());
    agent.place.certify(&old);
    let mended = until("the end of the fault", || page(&old).filter(|it| faults(&it.body) == 0.0));
    assert_eq!(agent.said("the TLS files are in order again"), 1);
    let series = "podmeter_tls_certificate_expiry_timestamp_seconds";
    let ends = Page::parse(&mended.body).value(series, &[]).unwrap();
    assert!(ends > 4e9, "the year 4096: {ends}");
}

#[test]
fn files_that_are_no_good_keep_it_from_starting() {
    let place = Place::new();
    place.put("tls.crt", "garbage");
    let launch = place.launch(None, TLS);
    let arguments: Vec<&str> =
        ["run"].into_iter().chain(launch.iter().map(String::as_str)).collect();
    let output = place.output(&arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("error: cannot serve TLS: tls.key: cannot read it"), "{text}");
}
