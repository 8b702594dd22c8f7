//! Pods that get no containers, and what series and Events say of them.

use serde_json::{Value, json};

use crate::cluster::cases::identity::api;
use crate::cluster::suite::{START, Suite};
use crate::cluster::wait;

const STUCK: &str = include_str!("../manifests/stuck.yaml");
const ELSEWHERE: &str = include_str!("../manifests/elsewhere.yaml");
const SECONDS: &str = "podmeter_pod_stuck_seconds";

/// Waits until the pod is said to be stuck for this reason, in a series and in an Event on it; the detail.
fn said(suite: &Suite, pod: &str, reason: &str) -> String {
    let labels = [("pod", pod), ("reason", reason)];
    let detail =
        suite.recorder.until(&format!("{pod} to be stuck for {reason}"), START * 2, |page| {
            page.one(SECONDS, &labels).map(|series| series.label("detail").to_owned())
        });
    let note = format!("{detail} ({reason})");
    wait::until(&format!("an Event on {pod}: {note}"), START, || {
        let selector = format!("involvedObject.name={pod},reason=PodStuck");
        let events = suite.kubectl(&["get", "events", "-o", "json", "--field-selector", &selector]);
        let events: Value = serde_json::from_str(&events).expect("kubectl prints JSON");
        let mut notes = events["items"].as_array()?.iter().map(|event| &event["message"]);
        notes.any(|message| message == &note).then_some(())
    });
    let described = suite.kubectl(&["describe", "pod", pod]);
    assert!(described.contains(&note), "{described}");
    detail
}

fn apply(suite: &Suite, pod: &str) {
    let manifest = STUCK.split("---\n").find(|one| one.contains(&format!("name: {pod}}}")));
    suite.apply(manifest.expect("it is there"));
}

pub(crate) fn volume_without_its_config_map_is_named_until_it_is_there(suite: &Suite) {
    let _steady = suite.steady();
    apply(suite, "without-config");
    let namespace = &suite.namespace.name;
    assert_eq!(
        said(suite, "without-config", "config_map_missing"),
        format!("volume settings: ConfigMap {namespace}/nowhere does not exist")
    );
    suite.kubectl(&["create", "configmap", "nowhere"]);
    // The kubelet tries again within two minutes.
    suite.recorder.until("the pod to go on", START * 4, |page| {
        page.one(SECONDS, &[("pod", "without-config")]).is_none().then_some(())
    });
    wait::until("the log to say so", START, || {
        let log = suite.agent.log();
        let is_it =
            |line: &&str| line.contains("no longer stuck") && line.contains("without-config");
        log.lines().find(is_it).map(drop)
    });
}

pub(crate) fn variable_without_its_secret_is_named(suite: &Suite) {
    let _steady = suite.steady();
    apply(suite, "without-secret");
    let namespace = &suite.namespace.name;
    assert_eq!(
        said(suite, "without-secret", "secret_missing"),
        format!("container app: Secret {namespace}/nowhere does not exist")
    );
}

pub(crate) fn image_that_cannot_be_pulled_is_named(suite: &Suite) {
    let _steady = suite.steady();
    apply(suite, "without-image");
    let detail = said(suite, "without-image", "image_pull");
    assert!(detail.contains("podmeter.test/absent:1 cannot be pulled"), "{detail}");
}

pub(crate) fn volume_of_another_node_is_told_with_the_node(suite: &Suite) {
    let _steady = suite.steady();
    suite.apply(ELSEWHERE);
    let namespace = &suite.namespace.name;
    // The API server takes no state with a new object.
    let name = format!("{namespace}-2");
    let mut attachment = suite.tool().object(&["volumeattachment", &name]).expect("it is there");
    attachment["status"] = json!({"attached": true});
    let path = format!("/apis/storage.k8s.io/v1/volumeattachments/{name}/status");
    suite.tool().replace(&path, &attachment);
    assert_eq!(
        said(suite, "elsewhere", "volume_attached_elsewhere"),
        format!(
            "volume data (claim {namespace}/data, {namespace}-2) is attached to node {namespace}-2"
        )
    );
    suite.kubectl(&["delete", "pod", "elsewhere", "--force", "--grace-period=0"]);
    suite.recorder.until("the end of the series", START, |page| {
        page.one(SECONDS, &[("pod", "elsewhere")]).is_none().then_some(())
    });
}

pub(crate) fn startup_of_a_pod_is_what_its_status_says(suite: &Suite) {
    let _steady = suite.steady();
    let pod = api(suite);
    let labels = [("pod", &*pod)];
    suite.recorder.until("how long it took", START, |page| {
        let took = page.one("podmeter_pod_startup_seconds", &labels)?;
        let ready = page.value("kube_pod_status_ready_time", &labels)?;
        let scheduled = page.value("kube_pod_status_scheduled_time", &labels)?;
        assert_eq!(took.value, ready - scheduled);
        let object = suite.pod(&pod)?;
        assert_eq!(object["metadata"]["labels"]["pod-template-hash"], took.label("revision"));
        Some(())
    });
}
