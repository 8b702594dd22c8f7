//! Pods that are replaced while requests come.
//!
//! The API server of Kubernetes 1.20 has core Endpoints and no endings in them: a pod that is deleted is gone from there at
//! once, and only its own object tells that it still answers.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{App, Ends, ingress, service, until_status};
use crate::cluster::load::{Load, Report, Traffic};
use crate::cluster::suite::{START, Suite};
use crate::cluster::wait;

/// Requests of the case that the others are compared with.
const REQUESTS: u64 = 10_000;

/// What pods go through under load.
struct Ordeal<'a> {
    app: App<'a>,
    traffic: Traffic,
    at_least: u64,
    /// One pod dies without a word, and is restarted in its place.
    crash: bool,
}

/// What became of the requests.
struct Outcome {
    report: Report,
    retries: f64,
}

/// A rollout, a pod deleted and a second rollout.
fn replaced(suite: &Suite, ordeal: &Ordeal<'_>) -> Outcome {
    let Ordeal { app, traffic, .. } = ordeal;
    app.deploy(suite);
    suite.apply(&service(app.name, app.group, "web"));
    let host = format!("{}.test", app.name);
    suite.apply(&ingress(app.name, &host));
    let target = suite.agent.http(&host);
    until_status(&target, "/", 200);

    let load = Load::start(&target, *traffic);
    wait::until("traffic", START, || (load.sent() >= 50).then_some(()));
    suite.kubectl(&["rollout", "restart", &app.path()]);
    app.settled(suite);
    let ready = whole(suite, app);
    // Kubernetes takes its time to forget a pod that has ended.
    suite.kubectl(&["delete", "pod", &ready[0], "--wait=false"]);
    wait::until("another pod", START, || (!whole(suite, app).contains(&ready[0])).then_some(()));
    if ordeal.crash {
        crash(suite, &whole(suite, app)[0]);
        whole(suite, app);
    }
    suite.kubectl(&["set", "env", &app.path(), "RELEASE=two"]);
    app.settled(suite);
    wait::until("enough requests", START, || (load.sent() >= ordeal.at_least).then_some(()));
    let report = load.finish();
    let page = suite.recorder.now();
    let retries = page.value("podmeter_proxy_retries_total", &[("route", app.name)]);
    let retries = retries.expect("the route was used");
    // A pod that is killed within its answer leaves a part of it, which nobody can send again or take for the whole.
    let broken: f64 = if ordeal.crash {
        let labels = [("route", app.name), ("error_type", "body_incomplete")];
        page.all("http_server_request_duration_seconds_count", &labels)
            .fold(0.0, |sum, it| sum + it.value)
    } else {
        0.0
    };
    eprintln!(
        "cluster: {}: {}, {retries} sent again, {broken} broken off",
        app.name,
        report.line()
    );
    // All of the first and of the second rollout, and whoever stood in for the deleted one.
    assert!(report.by_pod.len() > 2 * app.replicas as usize, "{:?}", report.by_pod);
    assert_eq!(report.failed as f64, broken, "{:#?}", report.failures);
    let lost = report.connections - traffic.clients;
    assert_eq!(f64::from(lost), broken, "no other client lost its connection");
    Outcome { report, retries }
}

/// The pods that are ready and stay, once there are as many as there should be.
fn whole(suite: &Suite, app: &App<'_>) -> Vec<String> {
    wait::until("all pods", START, || {
        let mut pods = app.pods(suite);
        pods.retain(|pod| {
            let conditions = pod["status"]["conditions"].as_array();
            let is_ready = conditions.is_some_and(|all| {
                all.iter().any(|it| it["type"] == "Ready" && it["status"] == "True")
            });
            is_ready && pod["metadata"]["deletionTimestamp"].is_null()
        });
        let names = pods.iter().filter_map(|pod| pod["metadata"]["name"].as_str());
        (pods.len() == app.replicas as usize).then(|| names.map(str::to_owned).collect())
    })
}

/// Kills the application, and waits until the kubelet has noticed.
fn crash(suite: &Suite, pod: &str) {
    let before = suite.running(pod, "app");
    let pid = i32::try_from(before.pid()).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process(pid, Signal::KILL).expect("it runs");
    wait::until("the container to be another one", START, || {
        suite.container(pod, "app").filter(|now| now.id != before.id)
    });
}

/// Assumed of the pods is what the Kubernetes documentation asks for: a readiness probe, a short `preStop` pause, and an
/// application that answers what it has before it ends.
pub(crate) fn proxy_loses_no_request_while_pods_are_replaced(suite: &Suite) {
    let _steady = suite.steady();
    let ends = Ends::AfterPause(2);
    let app = App { name: "roll", group: "roll", version: "one", replicas: 3, delay: 5, ends };
    let traffic = Traffic { clients: 8, every: Duration::from_millis(25), posts: 5 };
    let ordeal = Ordeal { app, traffic, at_least: REQUESTS, crash: false };
    let Outcome { report, .. } = replaced(suite, &ordeal);
    assert!(report.posts > REQUESTS / 6, "{}", report.posts);
}

/// Nothing is assumed but that the application answers what it has. A POST that was sent while the application closed its
/// connection may not be sent again, whoever the proxy is, so there are none.
pub(crate) fn proxy_loses_no_get_when_pods_stop_without_a_pause(suite: &Suite) {
    let _steady = suite.steady();
    let ends = Ends::WithTheSignal;
    let app = App { name: "hasty", group: "hasty", version: "one", replicas: 2, delay: 5, ends };
    let traffic = Traffic { clients: 4, every: Duration::from_millis(40), posts: 0 };
    replaced(suite, &Ordeal { app, traffic, at_least: 500, crash: false });
}

/// Nothing at all is assumed: busybox' httpd drops what it has with the first signal, and one dies without having been told to,
/// so that the API server lists it for a while. What they had is asked of another pod.
pub(crate) fn proxy_loses_no_get_when_pods_die_at_once(suite: &Suite) {
    let _steady = suite.steady();
    let ends = Ends::AtOnce;
    let app = App { name: "dying", group: "dying", version: "one", replicas: 2, delay: 0, ends };
    let traffic = Traffic { clients: 4, every: Duration::from_millis(40), posts: 0 };
    let outcome = replaced(suite, &Ordeal { app, traffic, at_least: 500, crash: true });
    assert!(outcome.retries > 0.0, "the crash cost nothing");
}
