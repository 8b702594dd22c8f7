//! The API server goes away, and comes back.

use std::time::{Duration, Instant};

use crate::running::{Agent, Cluster, refusals, reviews, until};

#[test]
fn an_earlier_yes_holds_for_its_grace_and_nothing_else_does() {
    let mut cluster = Cluster::start();
    cluster.reader("good", "prometheus", "/metrics");
    cluster.reader("late", "somebody", "/metrics");
    let config = "access: {mode: kubernetes, outage_grace: 12s}\n";
    let agent = Agent::asking(&cluster, config).ready("good");
    assert_eq!(agent.get("/metrics", "bad").status, 401);
    cluster.stop();

    let start = Instant::now();
    let held = until("an answer that is held", || {
        let page = agent.scrape("good");
        Some(page).filter(|page| reviews(page, "held") > 0.0)
    });
    assert!(reviews(&held, "allowed") >= 1.0);
    assert_eq!(agent.get("/metrics", "late").status, 503, "no answer was ever had for this one");
    until("the end of an earlier no", || {
        Some(agent.get("/metrics", "bad")).filter(|reply| reply.status == 503)
    });
    assert_eq!(agent.get("/metrics", "").status, 401, "without a token nobody needs to be asked");
    assert_eq!(agent.get("/livez", "").status, 200);
    let reply = until("the end of the grace", || {
        Some(agent.get("/metrics", "good")).filter(|reply| reply.status != 200)
    });
    assert_eq!(reply.status, 503);
    assert!(reply.head.contains("retry-after"), "{reply:?}");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());

    cluster.restart();
    let agent = agent.ready("late");
    let page = agent.scrape("late");
    assert!(reviews(&page, "unreachable") >= 1.0);
    assert!(refusals(&page, "unavailable") >= 1.0);
}

#[test]
fn without_grace_nothing_holds_longer_than_an_answer_is_fresh() {
    let mut cluster = Cluster::start();
    cluster.reader("good", "prometheus", "/metrics");
    let config = "access: {mode: kubernetes, outage_grace: 0s}\n";
    let agent = Agent::asking(&cluster, config).ready("good");
    let start = Instant::now();
    cluster.stop();
    until("the end", || Some(agent.get("/metrics", "good")).filter(|reply| reply.status == 503));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}
