//! Events as the kubelet and the controllers write them, in every order.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn event(second: u32, reason: &str, message: &str) -> Value {
    let (minute, second) = (second / 60, second % 60);
    json!({
        "metadata": {"name": format!("web-0.{minute:02}{second:02}")},
        "reason": reason, "message": message,
        "lastTimestamp": format!("2026-01-01T00:{minute:02}:{second:02}Z"),
    })
}

fn evidence(events: &[Value]) -> Option<Evidence> {
    let list: Events = serde_json::from_value(json!({"items": events})).unwrap();
    verdict(&list.items.0, "shop")
}

#[track_caller]
fn check(events: &[Value], expected: Option<(Reason, &str)>) {
    let found = evidence(events).map(|found| (found.diagnosis.reason, found.diagnosis.detail));
    let found = found.as_ref().map(|(reason, detail)| (*reason, &**detail));
    assert_eq!(found, expected);
}

const LATE: &str = "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[data]: timed out waiting for the condition";
const ELSEWHERE: &str = "Multi-Attach error for volume \"pvc-1\" Volume is already exclusively attached to one node and can't be attached to another";

#[test]
fn missing_objects_of_volumes_are_named() {
    let missing = "MountVolume.SetUp failed for volume \"config\" : configmap \"app\" not found";
    check(
        &[
            event(1, "Scheduled", "Successfully assigned"),
            event(5, "FailedMount", missing),
            event(130, "FailedMount", LATE),
        ],
        Some((Reason::ConfigMapMissing, "volume config: ConfigMap shop/app does not exist")),
    );
    assert!(!evidence(&[event(5, "FailedMount", missing)]).unwrap().is_of_volumes);
}

#[test]
fn volumes_that_are_late_or_held_are_looked_into() {
    check(
        &[event(130, "FailedMount", LATE)],
        Some((Reason::Mount, "volumes that are not mounted: data")),
    );
    assert!(evidence(&[event(130, "FailedMount", LATE)]).unwrap().is_of_volumes);
    check(
        &[event(2, "FailedAttachVolume", ELSEWHERE), event(130, "FailedMount", LATE)],
        Some((Reason::AttachedElsewhere, "volume pvc-1 is attached to another node")),
    );
}

#[test]
fn attach_problem_is_over_once_the_volume_is_attached() {
    let device = "MountVolume.MountDevice failed for volume \"pvc-1\" : rpc error: code = Internal desc = format of disk failed: exit status 1";
    check(
        &[
            event(2, "FailedAttachVolume", ELSEWHERE),
            event(
                60,
                "SuccessfulAttachVolume",
                "AttachVolume.Attach succeeded for volume \"pvc-1\" ",
            ),
            event(62, "FailedMount", device),
        ],
        Some((Reason::Mount, "volume pvc-1: format of disk failed: exit status 1")),
    );
}

#[test]
fn network_and_sandbox_are_told_apart() {
    check(
        &[event(
            3,
            "FailedCreatePodSandBox",
            "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox \"0123456789abcdef\": plugin type=\"calico\" failed (add): Unauthorized",
        )],
        Some((
            Reason::Network,
            "failed to setup network for sandbox \"…\": plugin type=\"calico\" failed (add): Unauthorized",
        )),
    );
    check(
        &[event(
            3,
            "FailedCreatePodSandBox",
            "Failed to create pod sandbox: rpc error: code = Unknown desc = no runtime for \"gvisor\" is configured",
        )],
        Some((Reason::Sandbox, "no runtime for \"gvisor\" is configured")),
    );
}

#[test]
fn step_that_worked_ends_what_was_told_before() {
    let missing = event(
        5,
        "FailedMount",
        "MountVolume.SetUp failed for volume \"c\" : secret \"s\" not found",
    );
    check(
        &[missing.clone(), event(50, "Pulling", "Pulling image \"web:2\"")],
        Some((Reason::ImagePulling, "image web:2 is being pulled")),
    );
    check(
        &[missing.clone(), event(50, "Pulled", "Container image \"web:2\" already present")],
        None,
    );
    // Not told again for long, while another problem was.
    check(
        &[missing, event(500, "FailedCreatePodSandBox", "desc = disk quota exceeded")],
        Some((Reason::Sandbox, "disk quota exceeded")),
    );
}

#[test]
fn cause_that_the_status_forgot_is_found() {
    check(
        &[
            event(1, "Pulling", "Pulling image \"nope:1\""),
            event(
                2,
                "Failed",
                "Failed to pull image \"nope:1\": rpc error: code = NotFound desc = not found",
            ),
            event(2, "Failed", "Error: ErrImagePull"),
            event(9, "BackOff", "Back-off pulling image \"nope:1\""),
        ],
        Some((Reason::ImagePull, "image nope:1 cannot be pulled: the registry does not have it")),
    );
}

#[test]
fn nothing_of_interest_is_nothing() {
    check(&[event(1, "Scheduled", ""), event(2, "PodmeterStuck", "volume c is not there")], None);
    check(&[], None);
}

proptest! {
    #[test]
    fn any_events_give_one_short_line_in_whatever_order_they_stand(
        said in prop::collection::vec((0_u32..3_000, prop::sample::select(vec![
            "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "Pulling", "Pulled", "SuccessfulAttachVolume", "Failed", "x",
        ]), any::<String>()), 0..12),
        turn in 0_usize..12,
    ) {
        // Names tell Events of the same second apart, so no two are equal.
        let mut events: Vec<_> = said.iter().enumerate().map(|(at, (second, reason, message))| {
            let mut event = event(*second, reason, message);
            event["metadata"]["name"] = format!("{at:02}").into();
            event
        }).collect();
        let found = evidence(&events);
        if let Some(found) = &found {
            prop_assert!(found.diagnosis.detail.len() <= super::super::reason::MAX_DETAIL);
        }
        if !events.is_empty() {
            let by = turn % events.len();
            events.rotate_left(by);
        }
        prop_assert_eq!(evidence(&events), found);
    }

    #[test]
    fn odd_objects_are_read_over(json in prop::sample::select(vec!["null", "7", "[]", "{\"items\":null}", "{\"items\":[null,7,{\"reason\":[1]}]}"])) {
        let value: Value = serde_json::from_str(json).unwrap();
        let list = serde_json::from_value::<crate::api::lax::Lax<Events>>(value).unwrap().into_inner();
        prop_assert!(verdict(&list.items.0, "shop").is_none());
    }
}
