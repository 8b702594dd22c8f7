//! Pods that are replaced while requests come.
//!
//! The API server of Kubernetes 1.20 has core Endpoints and no endings in them: a pod that is deleted is gone from there at
//! once, and only its own object tells that it still answers.

use std::time::Duration;

use super::{App, Ends, ingress, service, until_status};
use crate::cluster::load::{Load, Report, Traffic};
use crate::cluster::suite::{START, Suite};
use crate::cluster::wait;

/// Requests of the case that the others are compared with.
const REQUESTS: u64 = 10_000;

/// A rollout, a pod deleted and a second rollout, under load, and what became of the requests.
fn replaced(suite: &Suite, app: &App<'_>, traffic: Traffic, at_least: u64) -> Report {
    app.deploy(suite);
    suite.apply(&service(app.name, app.group, "web"));
    let host = format!("{}.test", app.name);
    suite.apply(&ingress(app.name, &host));
    let target = suite.agent.http(&host);
    until_status(&target, "/", 200);

    let load = Load::start(&target, traffic);
    wait::until("traffic", START, || (load.sent() >= 50).then_some(()));
    suite.kubectl(&["rollout", "restart", &app.path()]);
    app.settled(suite);
    let pods = app.pods(suite);
    let is_staying = |pod: &&serde_json::Value| pod["metadata"]["deletionTimestamp"].is_null();
    let pod = pods.iter().find(is_staying).and_then(|pod| pod["metadata"]["name"].as_str());
    suite.kubectl(&["delete", "pod", pod.expect("it has pods")]);
    suite.kubectl(&["set", "env", &app.path(), "RELEASE=two"]);
    app.settled(suite);
    wait::until("enough requests", START, || (load.sent() >= at_least).then_some(()));
    let report = load.finish();
    eprintln!("cluster: {}: {}", app.name, report.line());
    // All of the first and of the second rollout, and whoever stood in for the deleted one.
    assert!(report.by_pod.len() > 2 * app.replicas as usize, "{:?}", report.by_pod);
    assert_eq!(report.failed, 0, "{:#?}", report.failures);
    assert_eq!(report.connections, traffic.clients, "no client lost its connection");
    report
}

/// Assumed of the pods is what the Kubernetes documentation asks for: a readiness probe, a short `preStop` pause, and an
/// application that answers what it has before it ends.
pub(crate) fn proxy_loses_no_request_while_pods_are_replaced(suite: &Suite) {
    let _steady = suite.steady();
    let ends = Ends::AfterPause;
    let app = App { name: "roll", group: "roll", version: "one", replicas: 3, delay: 5, ends };
    let traffic = Traffic { clients: 8, every: Duration::from_millis(25), posts: 5 };
    let report = replaced(suite, &app, traffic, REQUESTS);
    assert!(report.posts > REQUESTS / 6, "{}", report.posts);
}

/// Nothing is assumed but that the application answers what it has. A POST that was sent while the application closed its
/// connection may not be sent again, whoever the proxy is, so there are none.
pub(crate) fn proxy_loses_no_get_when_pods_stop_without_a_pause(suite: &Suite) {
    let _steady = suite.steady();
    let ends = Ends::WithTheSignal;
    let app = App { name: "hasty", group: "hasty", version: "one", replicas: 2, delay: 5, ends };
    replaced(suite, &app, Traffic { clients: 4, every: Duration::from_millis(40), posts: 0 }, 500);
}

/// Nothing at all is assumed: what the pod had is lost, and asked of another one.
pub(crate) fn proxy_loses_no_get_when_pods_die_at_once(suite: &Suite) {
    let _steady = suite.steady();
    let ends = Ends::AtOnce;
    let app = App { name: "dying", group: "dying", version: "one", replicas: 2, delay: 0, ends };
    replaced(suite, &app, Traffic { clients: 4, every: Duration::from_millis(40), posts: 0 }, 500);
}
