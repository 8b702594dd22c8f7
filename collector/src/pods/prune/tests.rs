//! A whole pod, the odd ones, and anything at all.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::pods::labels::Settings;

fn pruned(object: &Value) -> Result<Pod, Skipped> {
    let object: PodObject = serde_json::from_value(object.clone()).unwrap();
    pod(object, "n1", &Rules::new(&Settings::default()).unwrap())
}

/// A pod of `node` that must be one, for the tests of others.
pub(crate) fn pruned_on(node: &str, object: &Value) -> Pod {
    let object: PodObject = serde_json::from_value(object.clone()).unwrap();
    pod(object, node, &Rules::new(&Settings::default()).unwrap()).unwrap()
}

fn whole() -> Value {
    json!({
        "metadata": {
            "name": "web-7d4b9c-x", "namespace": "shop", "uid": "00000000-0000-0000-0000-000000000001",
            "creationTimestamp": "1970-01-01T00:00:10Z",
            "labels": {"app": "web", "pod-template-hash": "7d4b9c"},
            "annotations": {"kubernetes.io/config.hash": "d76e26fba3bf2bfd215eb29011d55250"},
            "ownerReferences": [{"kind": "Other", "name": "x"}, {"kind": "ReplicaSet", "name": "web-7d4b9c", "controller": true}],
            "managedFields": [{"manager": "kubelet"}],
        },
        "spec": {
            "nodeName": "n1", "hostNetwork": true, "priorityClassName": "high",
            "initContainers": [{"name": "setup"}, {"name": "proxy", "restartPolicy": "Always"}],
            "containers": [{"name": "main", "resources": {"requests": {"cpu": "100m"}}}],
            "ephemeralContainers": [{"name": "debug"}],
        },
        "status": {
            "phase": "Running", "qosClass": "Burstable", "podIP": "10.0.0.5", "hostIP": "10.0.0.1", "startTime": "1970-01-01T00:00:20Z",
            "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:00:30Z"},
                {"type": "PodScheduled", "status": "True", "lastTransitionTime": "1970-01-01T00:00:11Z"},
            ],
            "containerStatuses": [{
                "name": "main", "containerID": "containerd://abc", "restartCount": 3, "ready": true,
                "state": {"running": {"startedAt": "1970-01-01T00:00:25Z"}},
                "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137, "containerID": "containerd://old"}},
            }],
        },
    })
}

#[test]
fn whole_pod_is_kept_as_series_need_it() {
    let pod = pruned(&whole()).unwrap();
    let at = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
    assert_eq!((&*pod.workload.kind, &*pod.workload.name), ("Deployment", "web"));
    assert_eq!(pod.owner.unwrap().kind.as_ref(), "ReplicaSet");
    assert_eq!(
        (pod.created, pod.scheduled, pod.started, pod.ready_since),
        (at(10), at(11), at(20), at(30))
    );
    assert_eq!(
        (pod.phase, pod.qos, pod.ready, pod.host_network),
        (Phase::Running, Some(Qos::Burstable), Some(true), true)
    );
    assert_eq!(pod.config_hash, PodUid::parse("d76e26fba3bf2bfd215eb29011d55250"));
    let roles: Vec<_> =
        pod.containers.iter().map(|container| (&*container.name, container.role)).collect();
    assert_eq!(
        roles,
        [
            ("setup", Role::Init),
            ("proxy", Role::Sidecar),
            ("main", Role::Regular),
            ("debug", Role::Ephemeral)
        ]
    );
    let status = pod.containers[2].status.as_ref().unwrap();
    assert_eq!((status.id.clone(), status.restarts), (Some(ContainerId::new("abc")), 3));
    assert_eq!(status.state, State::Running(at(25)));
    let last = status.last.as_ref().unwrap();
    assert_eq!((last.reason.as_deref(), last.exit_code), (Some("OOMKilled"), 137));
    assert_eq!(pod.containers[2].resources.requests.cpu, Some(0.1));
}

#[test]
fn what_cannot_be_joined_is_refused_with_the_reason() {
    let without = |path: [&str; 2]| {
        let mut object = whole();
        object[path[0]][path[1]] = Value::Null;
        pruned(&object).unwrap_err()
    };
    assert_eq!(without(["metadata", "uid"]), Skipped::NoUid);
    assert_eq!(without(["metadata", "name"]), Skipped::NoName);
    assert_eq!(without(["metadata", "namespace"]), Skipped::NoName);
    assert_eq!(without(["spec", "nodeName"]), Skipped::OtherNode);
    assert_eq!(pruned(&json!({})).unwrap_err(), Skipped::NoUid);
}

#[test]
fn node_keeps_amounts_and_conditions() {
    let object = json!({
        "metadata": {"name": "n1"}, "spec": {"unschedulable": true},
        "status": {"capacity": {"cpu": "4", "pods": "110"}, "allocatable": {"memory": "1Gi"}, "conditions": [{"type": "Ready", "status": "Unknown"}]},
    });
    let node = node(serde_json::from_value(object).unwrap()).unwrap();
    assert_eq!(
        (node.capacity.cpu, node.pods_capacity, node.unschedulable),
        (Some(4.0), Some(110.0), true)
    );
    assert!(node.capacity.others.is_empty());
    assert_eq!(node.allocatable.memory, Some(1_073_741_824.0));
    assert_eq!(node.conditions, [("Ready".into(), "Unknown".into())]);
}

#[test]
fn largest_pod_stays_bounded() {
    let mut object = whole();
    let many = |value: &str| {
        (0..2_000)
            .map(|number| (format!("k{number}"), value.into()))
            .collect::<serde_json::Map<_, _>>()
    };
    object["metadata"]["labels"] = many(&"v".repeat(5_000)).into();
    object["metadata"]["annotations"] = many("x").into();
    object["spec"]["containers"] =
        (0..2_000).map(|number| json!({"name": format!("c{number}")})).collect();
    let pod = pruned(&object).unwrap();
    assert!(pod.labels.len() <= 24 && pod.labels.iter().all(|label| label.value.len() <= 128));
    assert!(pod.containers.len() <= 300);
    assert!(pod.cut.count >= 1_900 && pod.cut.length == 24, "{:?}", pod.cut);
}

/// Any JSON, with the API's own field names likely, so that odd values stand where they can do harm.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,300}".prop_map(Value::from),
        Just(Value::from("1Ki")),
        Just(Value::from("9999-99-99T00:00:00Z")),
    ];
    let keys = [
        "name",
        "resources",
        "requests",
        "limits",
        "cpu",
        "state",
        "running",
        "terminated",
        "exitCode",
        "startedAt",
        "containerID",
        "type",
        "status",
        "labels",
        "controller",
        "kind",
        "allocatedResources",
        "restartCount",
        "nonsense",
    ];
    leaf.prop_recursive(4, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map(proptest::sample::select(keys.to_vec()), inner, 0..6)
                .prop_map(|map| map
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect::<serde_json::Map<_, _>>()
                    .into()),
        ]
    })
}

proptest! {
    #[test]
    fn any_object_gives_a_bounded_pod_or_a_reason(
        at in proptest::sample::select(vec![
            "/metadata", "/spec", "/status", "/metadata/labels", "/metadata/annotations", "/metadata/ownerReferences", "/spec/containers",
            "/spec/initContainers", "/spec/containers/0/resources", "/status/containerStatuses", "/status/containerStatuses/0", "/status/conditions",
        ]),
        odd in anything(),
    ) {
        let mut object = whole();
        *object.pointer_mut(at).unwrap() = odd;
        if let Ok(pod) = pruned(&object) {
            prop_assert!(pod.labels.len() <= 24);
            prop_assert!(pod.labels.iter().all(|label| label.value.len() <= 128));
        } else {
            prop_assert!(at == "/metadata" || at == "/spec", "{at} must not lose the pod");
        }
    }

    #[test]
    fn any_json_at_all_is_read(odd in anything()) {
        let text = json!([odd]).to_string();
        let objects: crate::api::lax::List<PodObject> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(objects.0.len(), 1);
    }
}

#[test]
fn name_that_stands_in_two_lists_is_one_container_and_the_regular_one() {
    let mut object = whole();
    object["spec"]["initContainers"] =
        json!([{"name": "main"}, {"name": "setup"}, {"name": "setup"}]);
    object["spec"]["ephemeralContainers"] = json!([{"name": "main"}]);
    let pod = pruned(&object).unwrap();
    let found: Vec<_> = pod.containers.iter().map(|one| (&*one.name, one.role)).collect();
    assert_eq!(found, [("setup", Role::Init), ("main", Role::Regular)]);
}

#[test]
fn condition_of_a_node_that_stands_twice_is_kept_once() {
    let ready = json!({"type": "Ready", "status": "True"});
    let object = json!({"metadata": {"name": "n1"}, "status": {"conditions": [ready, ready]}});
    let node = node(serde_json::from_value(object).unwrap()).unwrap();
    assert_eq!(node.conditions.len(), 1);
}
