//! Tokens and what their owners may.

use std::time::{Duration, Instant};

use agent::apiserver::{Fault, On};

use crate::running::{Agent, Cluster, OWN_TOKEN, Place, counts, refusals, reviews, until};

const KUBERNETES: &str = "access: {mode: kubernetes}\n";

#[test]
fn without_a_token_only_health_is_told() {
    let cluster = Cluster::start();
    cluster.reader("good", "prometheus", "/metrics");
    let agent = Agent::asking(&cluster, KUBERNETES).ready("good");
    let mut said = Vec::new();
    for path in ["/metrics", "/", "/api/v1/snapshot", "/nothing/here"] {
        let reply = agent.get(path, "");
        assert_eq!(reply.status, 401, "{path}: {reply:?}");
        assert!(
            reply.head.contains("www-authenticate: bearer realm=\"podmeter\"\r\n"),
            "{reply:?}"
        );
        assert!(reply.body.contains("ClusterRole podmeter-metrics-reader"), "{reply:?}");
        said.push(reply.body);
    }
    said.dedup();
    assert_eq!(said.len(), 1, "a path that is not there is told from no other: {said:?}");
    for path in ["/livez", "/readyz", "/readyz?verbose"] {
        let reply = until("readiness", || Some(agent.get(path, "")).filter(|it| it.status == 200));
        assert_eq!(reply.status, 200);
    }
    for header in ["authorization: Basic YTpi\r\n", "authorization: Bearer a b\r\n"] {
        let reply = agent.with("/metrics", header);
        assert_eq!(reply.status, 401);
        assert!(reply.head.contains("error=\"invalid_request\""), "{reply:?}");
    }
    let two = "authorization: Bearer good\r\nauthorization: Bearer good\r\n";
    assert_eq!(agent.with("/metrics", two).status, 401);
    let reply = agent.get("/metrics", "bad");
    assert_eq!(reply.status, 401);
    assert!(reply.head.contains("error=\"invalid_token\""), "{reply:?}");

    for (reason, times) in [("no_token", 4.0), ("malformed_token", 3.0), ("unknown_token", 1.0)] {
        counts(times, || refusals(&agent.scrape("good"), reason));
    }
    assert_eq!(agent.said("there is no TLS: tokens can be read on their way"), 1);
}

#[test]
fn either_of_two_rights_opens_and_who_has_neither_is_told_by_name() {
    let cluster = Cluster::start();
    cluster.reader("by-path", "system:serviceaccount:monitoring:prometheus", "/metrics");
    cluster.reader("by-star", "admin", "/*");
    cluster.server.know("by-role", "alice");
    cluster.server.allow("alice", Cluster::metrics(None));
    cluster.server.know("elsewhere", "system:serviceaccount:shop:mallory");
    cluster.server.allow("system:serviceaccount:shop:mallory", Cluster::metrics(Some("shop")));
    let agent = Agent::asking(&cluster, KUBERNETES).ready("by-path");

    assert_eq!(agent.get("/", "by-path").status, 403, "a right to one path is none to another");
    for path in ["/metrics", "/", "/api/v1/snapshot"] {
        assert_eq!(agent.get(path, "by-role").status, 200, "{path}");
        assert_eq!(agent.get(path, "by-star").status, 200, "{path}");
    }
    for path in ["/metrics", "/", "/nothing"] {
        let reply = agent.get(path, "elsewhere");
        assert_eq!(reply.status, 403, "{path}");
        let says =
            "\"system:serviceaccount:shop:mallory\" may not read this: bind it to the ClusterRole";
        assert!(reply.body.starts_with(says) && !reply.body.contains("elsewhere"), "{reply:?}");
    }
    assert_eq!(agent.get("/nothing", "by-role").status, 404);
    assert_eq!(agent.get("/nothing", "by-path").status, 403);
}

#[test]
fn a_token_or_a_binding_that_is_withdrawn_alone_is_refused_within_ten_seconds() {
    let cluster = Cluster::start();
    for (token, user) in [("of-a", "a"), ("of-b", "b"), ("of-c", "c")] {
        cluster.reader(token, user, "/metrics");
    }
    let agent = Agent::asking(&cluster, KUBERNETES).ready("of-c");
    assert_eq!(
        (agent.get("/metrics", "of-a").status, agent.get("/metrics", "of-b").status),
        (200, 200)
    );

    let start = Instant::now();
    cluster.server.withdraw("of-a");
    cluster.server.deny("b");
    let gone = |token: &str, status: u16| {
        until("the refusal", || {
            Some(agent.get("/metrics", token)).filter(|it| it.status == status)
        });
        assert!(start.elapsed() < Duration::from_secs(10), "{token}: {:?}", start.elapsed());
    };
    gone("of-a", 401);
    gone("of-b", 403);
    assert_eq!(agent.get("/metrics", "of-c").status, 200, "nobody else notices");
}

#[test]
fn a_missing_right_to_review_is_said_with_the_fix_and_lets_nobody_in() {
    let cluster = Cluster::start();
    cluster.reader("good", "prometheus", "/metrics");
    cluster.server.fault(On::resource("tokenreviews"), usize::MAX, Fault::status(403));
    let agent = Agent::asking(&cluster, KUBERNETES);
    for _ in 0..3 {
        let reply = agent.get("/metrics", "good");
        assert_eq!(reply.status, 503, "{reply:?}");
        assert!(reply.body.contains("Podmeter's log has the reason"), "{reply:?}");
    }
    assert_eq!(agent.said("to the ClusterRole podmeter-access"), 1, "once, not for each request");
    cluster.server.heal();
    let agent = agent.ready("good");
    assert_eq!(agent.said("tokens are reviewed again"), 1);
    counts(3.0, || reviews(&agent.scrape("good"), "refused"));
}

#[test]
fn nothing_of_a_token_is_in_the_log_at_its_most_talkative() {
    let cluster = Cluster::start();
    cluster.reader("s3cret-good", "prometheus", "/metrics");
    cluster.server.know("s3cret-forbidden", "mallory");
    let filter = "trace,kube=trace,kube_client=trace,hyper=trace,h2=trace";
    let agent = Agent::start(Place::new(), Some(&cluster), KUBERNETES, filter).ready("s3cret-good");
    assert_eq!(agent.get("/metrics", "s3cret-bad").status, 401);
    assert_eq!(agent.get("/metrics", "s3cret-forbidden").status, 403);
    assert_eq!(agent.with("/metrics", "authorization: Bearer s3cret malformed\r\n").status, 401);
    for fault in [Fault::Garbage, Fault::Cut, Fault::status(500)] {
        cluster.server.fault(On::resource("tokenreviews"), 1, fault);
        assert_eq!(agent.get("/metrics", "s3cret-late").status, 503);
    }
    let page = agent.get("/metrics", "s3cret-good").body;
    let log = agent.log();
    assert!(log.contains("tokenreviews"), "the requests themselves are logged");
    for secret in ["s3cret", OWN_TOKEN] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None);
        assert!(!page.contains(secret));
    }
}
