//! Pods in every state that keeps them from their containers, read from the API's objects.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::pods::prune::tests::pruned_on;

pub(crate) const UID: &str = "00000000-0000-0000-0000-000000000001";

/// A pending pod, scheduled at 100 s.
pub(crate) fn pod(spec: &Value, status: &Value) -> Pod {
    let mut object = json!({
        "metadata": {"name": "web-0", "namespace": "shop", "uid": UID},
        "spec": {"nodeName": "n1", "containers": [{"name": "main"}]},
        "status": {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "1970-01-01T00:01:40Z"}],
        },
    });
    for (part, more) in [("spec", spec), ("status", status)] {
        for (key, value) in more.as_object().unwrap() {
            object[part][key] = value.clone();
        }
    }
    pruned_on("n1", &object)
}

/// The same with one container that waits for this reason.
pub(crate) fn waiting(reason: &str, message: &str) -> Pod {
    let state = json!({"waiting": {"reason": reason, "message": message}});
    pod(&json!({}), &json!({"containerStatuses": [{"name": "main", "state": state}]}))
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[track_caller]
fn check(reason: &str, message: &str, expected: (Reason, &str, bool)) {
    let found = stuck(&waiting(reason, message)).unwrap();
    let Diagnosis { reason, detail } = &found.diagnosis;
    assert_eq!((*reason, &**detail, found.is_clear), expected);
}

#[test]
fn named_reasons_are_told_at_once() {
    check(
        "ErrImagePull",
        "failed to pull and unpack image \"nope:1\": not found",
        (
            Reason::ImagePull,
            "container main: image nope:1 cannot be pulled: the registry does not have it",
            true,
        ),
    );
    check(
        "ImagePullBackOff",
        "Back-off pulling image \"nope:1\"",
        (Reason::ImagePull, "container main: image nope:1 cannot be pulled", false),
    );
    check(
        "ErrImageNeverPull",
        "Container image \"web:1\" is not present with pull policy of Never",
        (
            Reason::ImagePull,
            "container main: image web:1 is not on the node, and its policy is Never",
            true,
        ),
    );
    check(
        "InvalidImageName",
        "couldn't parse image reference",
        (Reason::ImageName, "container main: the name of its image is none", true),
    );
    check(
        "CreateContainerConfigError",
        "secret \"db\" not found",
        (Reason::SecretMissing, "container main: Secret shop/db does not exist", true),
    );
    check(
        "CreateContainerConfigError",
        "container has runAsNonRoot and image will run as root",
        (
            Reason::ContainerCreate,
            "container main: container has runAsNonRoot and image will run as root",
            true,
        ),
    );
    check(
        "RunContainerError",
        "",
        (Reason::ContainerCreate, "container main: the runtime refuses it", true),
    );
    assert_eq!(stuck(&waiting("ErrImagePull", "")).unwrap().lasts(at(100)), Some(Duration::ZERO));
}

#[test]
fn containers_that_are_being_made_have_some_time_for_it() {
    let found = stuck(&waiting("ContainerCreating", "")).unwrap();
    assert_eq!(&*found.diagnosis.detail, "container main waits: ContainerCreating");
    assert_eq!((found.diagnosis.reason, found.is_clear), (Reason::Unknown, false));
    assert_eq!((found.lasts(at(119)), found.lasts(at(50))), (None, None));
    assert_eq!(found.lasts(at(120)), Some(Duration::from_secs(20)));

    let silent = stuck(&pod(&json!({}), &json!({}))).unwrap();
    assert_eq!(&*silent.diagnosis.detail, "the kubelet has told nothing of its containers");
}

#[test]
fn init_containers_take_their_time_and_are_told_when_they_fail() {
    let spec = json!({"initContainers": [{"name": "setup"}]});
    let with = |init: Value| {
        let main = json!([{"name": "main", "state": {"waiting": {"reason": "PodInitializing"}}}]);
        pod(&spec, &json!({"containerStatuses": main, "initContainerStatuses": [init]}))
    };
    let running =
        json!({"name": "setup", "state": {"running": {"startedAt": "1970-01-01T00:01:45Z"}}});
    assert_eq!(stuck(&with(running)), None);

    let done = json!({"name": "setup", "state": {"terminated": {"exitCode": 0, "finishedAt": "1970-01-01T00:10:00Z"}}});
    let found = stuck(&with(done)).unwrap();
    assert_eq!(found.lasts(at(610)), None, "the time counts from the end of the last one");
    assert_eq!(found.lasts(at(630)), Some(Duration::from_secs(30)));

    let failing = json!({
        "name": "setup", "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
        "lastState": {"terminated": {"reason": "Error", "exitCode": 3, "finishedAt": "1970-01-01T00:03:20Z"}},
    });
    let found = stuck(&with(failing)).unwrap();
    assert_eq!(
        &*found.diagnosis.detail,
        "container setup: it ends again and again: Error, exit code 3"
    );
    assert_eq!(found.since, at(200));
}

#[test]
fn pods_that_run_end_or_go_are_not_stuck() {
    let status = json!({"phase": "Running", "containerStatuses": [{"name": "main", "state": {"running": {}}}]});
    assert_eq!(stuck(&pod(&json!({}), &status)), None);
    assert_eq!(stuck(&pod(&json!({}), &json!({"phase": "Failed"}))), None);
    assert_eq!(stuck(&pod(&json!({}), &json!({"conditions": []}))), None, "not scheduled");
    let mut going = waiting("ErrImagePull", "");
    going.deleted = Some(at(200));
    assert_eq!(stuck(&going), None);
    assert_eq!(stuck(&waiting("CrashLoopBackOff", "back-off")), None, "no init container");
}

#[test]
fn container_that_ran_and_cannot_be_made_again_is_stuck_since_it_ended() {
    let status = json!({"phase": "Running", "containerStatuses": [{
        "name": "main", "restartCount": 1,
        "state": {"waiting": {"reason": "CreateContainerConfigError", "message": "configmap \"app\" not found"}},
        "lastState": {"terminated": {"finishedAt": "1970-01-01T01:00:00Z"}},
    }]});
    let found = stuck(&pod(&json!({}), &status)).unwrap();
    assert_eq!((found.since, found.diagnosis.reason), (at(3_600), Reason::ConfigMapMissing));
}

proptest! {
    #[test]
    fn any_reason_and_message_give_one_short_line(reason in "[A-Za-z]{0,20}", message in any::<String>()) {
        if let Some(found) = stuck(&waiting(&reason, &message)) {
            prop_assert!(found.diagnosis.detail.len() <= crate::diagnose::reason::MAX_DETAIL);
        }
    }

    #[test]
    fn known_reasons_with_any_message_are_told(
        reason in prop::sample::select(vec!["ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError", "CreateContainerError", "InvalidImageName"]),
        message in any::<String>(),
    ) {
        let pod: Arc<Pod> = Arc::new(waiting(reason, &message));
        prop_assert!(stuck(&pod).is_some_and(|found| found.after.is_zero()));
    }
}
