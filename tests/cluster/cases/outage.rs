//! The API server away: numbers go on under the last names, and what came meanwhile is named afterwards.

use std::time::Duration;

use crate::cluster::agent::Agent;
use crate::cluster::cases::life::plain;
use crate::cluster::page::Page;
use crate::cluster::recorder::Recorder;
use crate::cluster::relay::{self, Relay};
use crate::cluster::suite::{SOON, START, Suite};
use crate::cluster::wait;

/// Longest wait until the agent tries again, with some for a busy machine.
const RETRY: Duration = Duration::from_secs(90);
/// A container's usage: there as long as anything is known of it.
const USAGE: &str = "container_cpu_usage_seconds_total";

fn is_connected(page: &Page) -> bool {
    let feeds = ["pods", "nodes"];
    feeds
        .iter()
        .all(|feed| page.value("podmeter_watch_connected", &[("resource", feed)]) == Some(1.0))
}

fn connected_pods(page: &Page) -> Option<f64> {
    page.value("podmeter_watch_connected", &[("resource", "pods")])
}

pub(crate) fn pod_made_while_the_api_server_is_unreachable_is_named_afterwards(suite: &Suite) {
    let _steady = suite.steady();
    suite.apply(&plain("before-outage"));
    suite.running("before-outage", "app");
    let relay = Relay::new(relay::server(&suite.tool().kubeconfig));
    let kubeconfig = relay.kubeconfig(&suite.tool().kubeconfig, suite.scratch.path());
    let agent = std::sync::Arc::new(Agent::start(&kubeconfig));
    agent.ready();
    let recorder = Recorder::start(agent.clone());
    let known = [("pod", "before-outage"), ("container", "app"), ("label_stage", "one")];
    recorder.until("the old pod", SOON, |page| {
        (is_connected(page) && page.one(USAGE, &known).is_some()).then_some(())
    });

    relay.cut();
    recorder.until("the watch to be lost", SOON, |page| {
        (connected_pods(page) == Some(0.0)).then_some(())
    });
    suite.apply(&plain("during-outage"));
    let container = suite.running("during-outage", "app");
    recorder.until("the new pod under its uid", SOON, |page| {
        // What was known stays in force all the while.
        assert!(page.one(USAGE, &known).is_some(), "the old pod lost its name");
        page.all(USAGE, &[("uid", &container.pod)])
            .find(|series| {
                container.id.starts_with(series.label("container_id"))
                    && !series.label("container_id").is_empty()
            })
            .map(drop)
    });
    let failures =
        recorder.latest().value("podmeter_watch_failures_total", &[("kind", "unreachable")]);
    assert!(failures >= Some(1.0), "{failures:?}");
    assert_eq!(agent.get("/livez").status, 200);

    relay.mend();
    let new = [
        ("pod", "during-outage"),
        ("container", "app"),
        ("label_stage", "one"),
        ("workload_kind", "Pod"),
    ];
    recorder.until("the new pod under its name", RETRY, |page| {
        let named = page.one(USAGE, &new).is_some();
        let strays = page.all(USAGE, &[("uid", &container.pod)]).count();
        assert!(!named || strays == 0, "it is there under its name and its uid at once");
        (named && connected_pods(page) == Some(1.0)).then_some(())
    });
    assert!(agent.log().contains("the API server answers again"), "{}", agent.log());
    let (fault, _) = recorder.verdict();
    assert_eq!(fault, None);
    drop(recorder);
    let agent = std::sync::Arc::into_inner(agent).expect("the recorder has ended");
    assert!(agent.terminate().success(), "a signal ends it well");
}

pub(crate) fn series_go_on_while_the_api_server_is_restarted(suite: &Suite) {
    suite.apply(&plain("through-restart"));
    suite.running("through-restart", "app");
    let _alone = suite.alone();
    let of_app = [("pod", "through-restart"), ("container", "app"), ("label_stage", "one")];
    suite.recorder.until("its series", SOON, |page| {
        (is_connected(page) && page.one(USAGE, &of_app).is_some()).then_some(())
    });
    let film = suite.recorder.film("through-restart");

    let command = suite.tool().command("apiserver");
    suite.tool().kill("apiserver");
    suite.recorder.until("the watch to be lost", SOON, |page| {
        (connected_pods(page) == Some(0.0)).then_some(())
    });
    // Once it had all pods it stays ready, since numbers under the last names are of use; but it tells.
    wait::until("/readyz to tell how old the names are", SOON, || {
        let answer = suite.agent.get("/readyz?verbose");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body.contains("s old").then_some(())
    });
    suite.recorder.fresh();
    suite.tool().start("apiserver", &command);
    wait::until("the API server", START, || {
        suite.tool().try_kubectl(&["get", "--raw", "/readyz"]).ok()
    });
    suite.apply(&plain("after-restart"));

    suite.recorder.until("the watch again", RETRY, |page| is_connected(page).then_some(()));
    suite.running("after-restart", "app");
    suite.recorder.until("the new pod", SOON, |page| {
        page.one(USAGE, &[("pod", "after-restart"), ("container", "app")]).map(drop)
    });
    let frames = film.frames();
    assert!(frames.len() >= 3);
    assert!(frames.iter().all(|page| page.one(USAGE, &of_app).is_some()), "its series had a gap");
    assert_eq!(suite.agent.get("/readyz").status, 200);
}
