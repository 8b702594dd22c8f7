//! Rights, and the commands that answer once.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::cluster::account;
use crate::cluster::agent::{Agent, program};
use crate::cluster::cases::identity::api;
use crate::cluster::page::Page;
use crate::cluster::suite::{START, Suite};
use crate::cluster::wait;

const ACCESS: &str = include_str!("../manifests/access.yaml");
const ACCESS_PODS: &str = include_str!("../manifests/access-pods.yaml");
const USAGE: &str = "container_cpu_usage_seconds_total";

/// A kubeconfig with the token of a service account of this name.
fn reader(suite: &Suite, name: &str) -> PathBuf {
    suite.kubectl(&["create", "serviceaccount", name]);
    account::kubeconfig(suite.tool(), &suite.namespace.name, name, suite.scratch.path())
}

fn command(name: &str, kubeconfig: &Path, flags: &[&str]) -> Output {
    let mut program = program();
    program.args([name, "--node", "node1", "--kubeconfig"]).arg(kubeconfig).args(flags);
    program.output().expect("the program starts")
}

pub(crate) fn documented_rights_are_enough_and_a_missing_one_is_named(suite: &Suite) {
    let _steady = suite.steady();
    let pod = api(suite);
    let kubeconfig = reader(suite, "reader");
    let agent = Agent::start(&kubeconfig);
    let refusal = "the ClusterRole lacks list or watch on pods";
    wait::until("/readyz to name the missing right", START, || {
        let answer = agent.get("/readyz");
        (answer.status == 503 && answer.body.contains(refusal)).then_some(())
    });
    assert!(agent.log().contains(refusal), "{}", agent.log());
    assert!(agent.log().contains("kind=\"forbidden\""), "{}", agent.log());
    assert_eq!(agent.get("/livez").status, 200, "it goes on trying");
    // The first tick may be older than the refusal, and serves for a second.
    let page = wait::until("the refusal to be counted", START, || {
        let refused = [("kind", "forbidden")];
        let is_counted =
            |page: &Page| page.value("podmeter_watch_failures_total", &refused) >= Some(1.0);
        agent.scrape().ok().filter(is_counted)
    });
    assert!(page.all(USAGE, &[("pod", &pod)]).next().is_none(), "nobody told it the name");
    let checked = command("check", &kubeconfig, &["--listen", "127.0.0.1:0"]);
    let report = String::from_utf8_lossy(&checked.stdout);
    assert_eq!(checked.status.code(), Some(3), "{report}");
    assert!(report.contains("list pods") && report.contains(refusal), "{report}");

    suite.apply(&ACCESS.replace("WHO", &suite.namespace.name));
    wait::until("it to be ready with the documented rights", START * 2, || {
        (agent.get("/readyz").status == 200).then_some(())
    });
    let labels = [("pod", &*pod), ("container", "app"), ("label_application", "fl-backend-rails")];
    wait::until("names and the node's own", START, || {
        let page = agent.scrape().ok()?;
        let feeds = ["pods", "nodes"]
            .iter()
            .all(|feed| page.value("podmeter_watch_connected", &[("resource", feed)]) == Some(1.0));
        (feeds
            && page.one(USAGE, &labels).is_some()
            && page.value("kube_node_status_allocatable", &[("resource", "pods")]).is_some())
        .then_some(())
    });
    assert!(agent.terminate().success());
}

pub(crate) fn without_rights_on_nodes_the_pods_are_named_all_the_same(suite: &Suite) {
    let _steady = suite.steady();
    let pod = api(suite);
    let kubeconfig = reader(suite, "pod-reader");
    suite.apply(&ACCESS_PODS.replace("WHO", &format!("{}-pods", suite.namespace.name)));
    let agent = Agent::start(&kubeconfig);
    agent.ready();
    let labels = [("pod", &*pod), ("container", "app"), ("label_application", "fl-backend-rails")];
    let page = wait::until("names", START, || {
        agent.scrape().ok().filter(|page| page.one(USAGE, &labels).is_some())
    });
    let connected = |feed| page.value("podmeter_watch_connected", &[("resource", feed)]);
    assert_eq!((connected("pods"), connected("nodes")), (Some(1.0), Some(0.0)));
    assert!(page.all("kube_node_status_allocatable", &[]).next().is_none());
    assert!(page.all("podmeter_node_resource_requests", &[]).next().is_some());
    assert!(agent.log().contains("lacks list or watch on nodes"), "{}", agent.log());
}

pub(crate) fn one_snapshot_can_be_printed(suite: &Suite) {
    let _steady = suite.steady();
    let pod = api(suite);
    let out = command("once", &suite.tool().kubeconfig, &["--rates", "--strict"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let page = Page::strict(&String::from_utf8_lossy(&out.stdout)).expect("a page");
    let of_app = [
        ("pod", &*pod),
        ("container", "app"),
        ("workload", "fl-api"),
        ("annotation_team", "growth"),
    ];
    for name in [
        USAGE,
        "container_memory_working_set_bytes",
        "podmeter_cpu_limit_ratio",
        "kube_pod_container_status_running",
    ] {
        assert!(page.one(name, &of_app).is_some(), "no {name}");
    }
}

pub(crate) fn check_tells_what_works_and_what_does_not(suite: &Suite) {
    let _steady = suite.steady();
    let out = command(
        "check",
        &suite.tool().kubeconfig,
        &["--listen", "127.0.0.1:0", "--output", "json"],
    );
    let text = String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&out.stderr));
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(report["failed"], 0, "{text}");
    let text = report.to_string();
    for wanted in
        ["api: list pods", "api: watch pods", "api: list nodes", "api: watch nodes", "cgroup"]
    {
        assert!(text.contains(wanted), "nothing on {wanted}: {text}");
    }
}
