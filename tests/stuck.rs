//! Pods that get no containers: the real binary, a fake API server, and what series, log and Events say of them.
//!
//! The pods were scheduled long ago, so none has to wait until it counts as stuck.

#![allow(clippy::unwrap_used, reason = "helpers of a suite are tests too")]

#[path = "stuck/node.rs"]
mod node;
#[path = "support/page.rs"]
#[allow(dead_code, reason = "other suites need more of it")]
mod page;
#[path = "support/podmeter.rs"]
#[allow(dead_code, reason = "other suites need more of it")]
mod podmeter;

use agent::apiserver::{Fault, On, Verb};
use node::{Node, event, logged, pod, said, uid};
use serde_json::{Value, json};

const ATTACH: &str = "Multi-Attach error for volume \"pvc-1\" Volume is already exclusively attached to one node and can't be attached to another";
const SANDBOX: &str = "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \"0123456789abcdef0123\": plugin type=\"calico\" failed (add): Unauthorized";

fn waiting(reason: &str, message: &str) -> Value {
    json!({"containerStatuses": [{"name": "main", "state": {"waiting": {"reason": reason, "message": message}}}]})
}

fn creating() -> Value {
    waiting("ContainerCreating", "")
}

/// A volume that is a claim, and the claim.
fn claimed(node: &Node, mode: &str) -> Value {
    node.server.apply(json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "shop"},
        "spec": {"volumeName": "pvc-1", "accessModes": [mode]}, "status": {"phase": "Bound"},
    }));
    node.server.apply(json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": {"name": "csi-1"},
        "spec": {"attacher": "csi.example.com", "nodeName": "n2", "source": {"persistentVolumeName": "pvc-1"}},
        "status": {"attached": true},
    }));
    json!({"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]})
}

#[test]
fn image_that_cannot_be_pulled_is_named_with_the_cause() {
    let node = Node::start();
    node.server.apply(event(
        1,
        5,
        "Failed",
        "Failed to pull image \"nope:1\": rpc error: code = NotFound desc = not found",
    ));
    node.server.apply(pod(
        1,
        &json!({}),
        &waiting("ImagePullBackOff", "Back-off pulling image \"nope:1\""),
    ));
    let agent = node.agent("");
    let line = said(&agent, 1, "image_pull", "does not have it");
    assert_eq!(line, "image nope:1 cannot be pulled: the registry does not have it");
    assert!(node.asked("volumeattachments").is_empty(), "of an image no volume is asked");
}

#[test]
fn missing_config_map_and_secret_are_named() {
    let node = Node::start();
    let mount = "MountVolume.SetUp failed for volume \"config\" : configmap \"app\" not found";
    node.server.apply(event(1, 5, "FailedMount", mount));
    node.server.apply(pod(1, &json!({}), &creating()));
    node.server.apply(pod(
        2,
        &json!({}),
        &waiting("CreateContainerConfigError", "secret \"db\" not found"),
    ));
    let agent = node.agent("");
    let line = said(&agent, 1, "config_map_missing", "");
    assert_eq!(line, "volume config: ConfigMap shop/app does not exist");
    let line = said(&agent, 2, "secret_missing", "");
    assert_eq!(line, "container main: Secret shop/db does not exist");
    let events = node.asked("events");
    let selector = format!("involvedObject.uid={}", uid(1));
    assert!(
        events.iter().all(|seen| {
            seen.verb == Verb::List
                && seen.path == "/api/v1/namespaces/shop/events"
                && seen.parameter("fieldSelector") == Some(&selector)
                && seen.parameter("limit") == Some("100")
        }),
        "only the pod's own Events, and only where the status does not say: {events:?}"
    );
}

#[test]
fn volume_that_another_node_has_is_told_with_the_node() {
    let node = Node::start();
    let spec = claimed(&node, "ReadWriteOnce");
    node.server.apply(event(1, 5, "FailedAttachVolume", ATTACH));
    node.server.apply(pod(1, &spec, &creating()));
    node.server.apply(pod(2, &spec, &creating()));
    let agent = node.agent("");
    for number in [1, 2] {
        let line = said(&agent, number, "volume_attached_elsewhere", "");
        assert_eq!(line, "volume data (claim shop/data, pvc-1) is attached to node n2");
    }
    assert_eq!(node.asked("volumeattachments").len(), 1, "one list serves all pods");
    let warned = logged(&agent, "a pod gets no containers");
    assert_eq!(warned.len(), 2, "one line a pod: {warned:?}");

    // It goes on: the series ends, and the log says so once.
    node.server.apply(pod(1, &spec, &json!({"phase": "Running"})));
    let _ = agent.page_with("the end of the series", |page| {
        page.samples("podmeter_pod_stuck_seconds", &[("pod", "web-1")]).next().is_none()
    });
    podmeter::until("the line", || {
        (logged(&agent, "a pod is no longer stuck").len() == 1).then_some(())
    });
}

#[test]
fn shared_volume_is_in_nobodys_way() {
    let node = Node::start();
    let spec = claimed(&node, "ReadWriteMany");
    node.server.apply(pod(1, &spec, &creating()));
    let agent = node.agent("");
    said(&agent, 1, "unknown", "container main waits: ContainerCreating");
    podmeter::until("the claim", || {
        (!node.asked("persistentvolumeclaims").is_empty()).then_some(())
    });
    assert!(node.asked("volumeattachments").is_empty());
}

#[test]
fn network_that_cannot_be_set_up_is_told() {
    let node = Node::start();
    node.server.apply(event(1, 5, "FailedCreatePodSandBox", SANDBOX));
    node.server.apply(pod(1, &json!({}), &creating()));
    let agent = node.agent("");
    let line = said(&agent, 1, "network", "");
    assert!(line.ends_with("plugin type=\"calico\" failed (add): Unauthorized"), "{line}");
}

#[test]
fn nothing_is_asked_while_no_pod_is_stuck() {
    let node = Node::start();
    let running = json!({"phase": "Running", "containerStatuses": [{"name": "main", "state": {"running": {}}}]});
    let spec = claimed(&node, "ReadWriteOnce");
    node.server.apply(pod(1, &spec, &running));
    // One whose status says all is stuck and needs no question.
    node.server.apply(pod(2, &spec, &waiting("InvalidImageName", "")));
    let agent = node.agent("");
    said(&agent, 2, "image_name", "");
    assert!(
        !agent.fresh().samples("podmeter_pod_stuck_seconds", &[("pod", "web-1")]).any(|_| true)
    );
    for resource in ["events", "persistentvolumeclaims", "volumeattachments"] {
        assert!(node.asked(resource).is_empty(), "{resource}");
    }
}

#[test]
fn nothing_is_asked_where_it_is_switched_off() {
    let node = Node::start();
    node.server.apply(event(1, 5, "FailedCreatePodSandBox", SANDBOX));
    node.server.apply(pod(1, &json!({}), &creating()));
    let agent = node.agent("kubernetes: {diagnose: false}");
    said(&agent, 1, "unknown", "container main waits: ContainerCreating");
    let page = agent.fresh();
    assert!(node.asked("events").is_empty());
    assert!(!page.samples("podmeter_diagnose_requests_total", &[]).any(|_| true));
}

#[test]
fn missing_rights_are_told_once_with_the_fix_and_the_status_has_to_do() {
    let node = Node::start();
    for resource in ["events", "persistentvolumeclaims", "volumeattachments"] {
        node.server.fault(On::resource(resource), usize::MAX, Fault::status(403));
    }
    let spec = claimed(&node, "ReadWriteOnce");
    node.server.apply(pod(1, &spec, &creating()));
    node.server.apply(pod(2, &spec, &creating()));
    let agent = node.agent("");
    for number in [1, 2] {
        said(&agent, number, "unknown", "container main waits: ContainerCreating");
    }
    podmeter::until("both lines", || {
        (logged(&agent, "a pod gets no containers").len() == 2).then_some(())
    });
    let told = logged(&agent, "grant ");
    assert_eq!(told.len(), 2, "one for Events, one for claims: {told:?}");
    assert!(told[0].contains("grant list on events"), "{told:?}");
    assert_eq!((node.asked("events").len(), node.asked("persistentvolumeclaims").len()), (1, 1));
    let page = agent.fresh();
    let refused = [("resource", "events"), ("outcome", "forbidden")];
    assert_eq!(page.value("podmeter_diagnose_requests_total", &refused), Some(1.0));
}

#[test]
fn api_server_that_fails_leaves_the_status_and_is_asked_again() {
    let node = Node::start();
    node.server.fault(On::request(Verb::List, "events"), 1, Fault::status(500));
    node.server.apply(event(1, 5, "FailedCreatePodSandBox", SANDBOX));
    node.server.apply(pod(1, &json!({}), &creating()));
    let agent = node.agent("");
    said(&agent, 1, "network", "");
    let page = agent.fresh();
    let failed = [("resource", "events"), ("outcome", "failed")];
    assert_eq!(page.value("podmeter_diagnose_requests_total", &failed), Some(1.0));
}

#[test]
fn startup_is_told_by_revision() {
    let node = Node::start();
    let status = json!({
        "phase": "Running", "startTime": "2026-01-01T00:00:01Z",
        "containerStatuses": [{"name": "main", "state": {"running": {"startedAt": "2026-01-01T00:00:05Z"}}}],
        "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:12Z"},
        ],
    });
    node.server.apply(pod(1, &json!({}), &status));
    let agent = node.agent("");
    let page = agent.page_with("the pod", |page| {
        page.samples("podmeter_pod_startup_seconds", &[]).next().is_some()
    });
    let labels = [("pod", "web-1"), ("workload", "web"), ("revision", "7d4b9c")];
    assert_eq!(page.value("podmeter_pod_startup_seconds", &labels), Some(12.0));
}

#[test]
fn events_are_written_on_request_and_not_too_often() {
    let node = Node::start();
    let missing =
        |name: &str| waiting("CreateContainerConfigError", &format!("secret \"{name}\" not found"));
    (1..=40).for_each(|number| node.server.apply(pod(number, &json!({}), &missing("db"))));
    let agent = node.agent("kubernetes: {events: [stuck]}");
    let count = |outcome: &'static str| {
        let page = agent.scrape();
        page.value("podmeter_pod_events_total", &[("reason", "stuck"), ("outcome", outcome)])
            .unwrap()
    };
    podmeter::until("ten Events", || (count("written") >= 10.0).then_some(()));
    let written = node.server.written();
    assert!(written.len() <= 12, "ten at once, then one in six seconds: {}", written.len());
    assert!(count("limited") >= 10.0, "there is no room for all of them to wait");
    let one = &written[0];
    assert_eq!(
        (&one["regarding"]["kind"], &one["reason"], &one["type"]),
        (&json!("Pod"), &json!("PodStuck"), &json!("Warning"))
    );
    assert_eq!(one["note"], "container main: Secret shop/db does not exist (secret_missing)");
    assert!(one["regarding"]["uid"].as_str().unwrap().starts_with("00000000-"));
    assert_eq!(one["reportingInstance"], "n1");
    let mut pods: Vec<_> =
        written.iter().map(|event| event["regarding"]["name"].to_string()).collect();
    pods.dedup();
    assert_eq!(pods.len(), written.len(), "one a pod");
}

#[test]
fn no_event_is_written_unasked_and_a_missing_right_is_told_once() {
    let node = Node::start();
    let missing = waiting("CreateContainerConfigError", "secret \"db\" not found");
    (1..=3).for_each(|number| node.server.apply(pod(number, &json!({}), &missing)));
    let silent = node.agent("");
    said(&silent, 3, "secret_missing", "");
    assert!(node.server.written().is_empty() && node.asked("events").is_empty());
    drop(silent);

    node.server.fault(On::request(Verb::Create, "events"), usize::MAX, Fault::status(403));
    let agent = node.agent("kubernetes: {events: stuck}");
    let forbidden = [("reason", "stuck"), ("outcome", "forbidden")];
    let _ = agent.page_with("three refusals", |page| {
        page.value("podmeter_pod_events_total", &forbidden) == Some(3.0)
    });
    let told = logged(&agent, "grant create on events");
    assert_eq!(told.len(), 1, "{told:?}");
}

/// Takes a minute: that is how long a container has to be near its limit.
#[test]
fn container_near_its_memory_limit_gets_an_event_with_the_amounts() {
    let node = Node::start();
    let status = json!({"phase": "Running", "containerStatuses": [{
        "name": "main", "containerID": format!("containerd://{}", node::CONTAINER), "state": {"running": {"startedAt": "2026-01-01T00:00:05Z"}},
    }]});
    node.server.apply(pod(1, &json!({}), &status));
    let agent = node.agent("interval: 1s\nkubernetes: {events: [memory, throttling]}");
    podmeter::until("the Event", || (!node.server.written().is_empty()).then_some(()));
    let written = node.server.written();
    assert_eq!((written.len(), &written[0]["reason"]), (1, &json!("NearMemoryLimit")));
    let said = written[0]["note"].as_str().unwrap();
    assert!(
        said.starts_with("container main is near its memory limit: 95 MiB of 100 MiB, 95 % since "),
        "{said}"
    );
    drop(agent);
}
