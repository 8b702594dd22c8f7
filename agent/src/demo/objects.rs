//! The demo's pods and its node in the API's words.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::plan::{MI, NODE, Plan};

/// How the one container of a pod is doing.
#[derive(Clone, Debug)]
pub struct State {
    /// `metadata.uid`.
    pub uid: String,
    /// The pod's address, on the loopback interface.
    pub ip: Ipv4Addr,
    /// When it was made, RFC 3339.
    pub created: String,
    /// The running container and since when; `None` between two.
    pub running: Option<(String, String)>,
    /// Restarts so far.
    pub restarts: u32,
    /// How the container before ended.
    pub last: Option<Ended>,
}

/// How a container ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its id.
    pub id: String,
    /// `OOMKilled`, `Error` or `Completed`.
    pub reason: &'static str,
    /// As the runtime reports it: 128 and the signal, if there was one.
    pub code: i32,
    /// RFC 3339.
    pub started: String,
    /// RFC 3339.
    pub finished: String,
}

impl Ended {
    fn json(&self) -> Value {
        json!({"terminated": {
            "containerID": format!("containerd://{}", self.id), "reason": self.reason, "exitCode": self.code,
            "startedAt": self.started, "finishedAt": self.finished,
        }})
    }
}

/// The Pod object.
#[must_use]
pub fn pod(plan: &Plan, state: &State) -> Value {
    let amounts = |(cpu, memory): (u64, u64)| {
        let mut amounts = json!({"memory": format!("{}Mi", memory / MI)});
        if cpu > 0 {
            amounts["cpu"] = format!("{cpu}m").into();
        }
        amounts
    };
    let ready = state.running.is_some();
    let condition = |kind: &str, is: bool| json!({"type": kind, "status": if is { "True" } else { "False" }, "lastTransitionTime": state.created});
    let resources = json!({"requests": amounts(plan.requests), "limits": amounts(plan.limits)});
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": plan.name(), "namespace": plan.application, "uid": state.uid, "creationTimestamp": state.created,
            "labels": labels(plan), "annotations": {"team": plan.team}, "ownerReferences": [owner_reference(plan)],
        },
        "spec": {
            "nodeName": NODE,
            "containers": [{"name": plan.component, "image": "podmeter/demo", "resources": resources}],
        },
        "status": {
            "phase": "Running", "qosClass": if plan.is_guaranteed() { "Guaranteed" } else { "Burstable" },
            "podIP": state.ip.to_string(), "hostIP": "127.0.0.1", "startTime": state.created,
            "conditions": [condition("PodScheduled", true), condition("Ready", ready)],
            "containerStatuses": [container_status(plan, state, &resources)],
        },
    })
}

fn container_status(plan: &Plan, state: &State, resources: &Value) -> Value {
    let now = match &state.running {
        Some((_, since)) => json!({"running": {"startedAt": since}}),
        None => json!({"waiting": {"reason": "CrashLoopBackOff"}}),
    };
    let id = state.running.as_ref().map(|(id, _)| id).or(state.last.as_ref().map(|last| &last.id));
    json!({
        "name": plan.component, "image": "podmeter/demo", "imageID": "",
        "containerID": id.map(|id| format!("containerd://{id}")),
        "ready": state.running.is_some(), "started": state.running.is_some(), "restartCount": state.restarts,
        "state": now, "lastState": state.last.as_ref().map_or_else(|| json!({}), Ended::json), "resources": resources,
    })
}

/// The Node object: what the machine has, less a little.
#[must_use]
pub fn node(cpus: usize, memory: u64) -> Value {
    let amounts = |memory: u64| json!({"cpu": cpus.to_string(), "memory": format!("{}Ki", memory / 1024), "pods": "110"});
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": NODE, "uid": super::tree::uuid()},
        "spec": {},
        "status": {
            "capacity": amounts(memory), "allocatable": amounts(memory - memory / 16),
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "MemoryPressure", "status": "False"}],
        },
    })
}

fn owner_reference(plan: &Plan) -> Value {
    let (kind, name) = plan.owner;
    let (kind, name) = match (kind, plan.suffix.split_once('-')) {
        ("Deployment", Some((hash, _))) => ("ReplicaSet", format!("{name}-{hash}")),
        _ => (kind, name.to_owned()),
    };
    json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": super::tree::uuid(), "controller": true, "blockOwnerDeletion": true})
}

fn labels(plan: &Plan) -> Value {
    let mut labels = json!({
        "application": plan.application, "component": plan.component, "role": plan.role, "version": plan.version,
    });
    match (plan.owner.0, plan.suffix.split_once('-')) {
        ("Deployment", Some((hash, _))) => labels["pod-template-hash"] = hash.into(),
        _ => labels["apps.kubernetes.io/pod-index"] = plan.suffix.into(),
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::plan::plans;

    #[test]
    fn replica_set_carries_the_hash_that_the_pods_name_has() {
        for plan in plans().iter().filter(|plan| plan.owner.0 == "Deployment") {
            let pod = pod(
                plan,
                &State {
                    uid: String::new(),
                    ip: Ipv4Addr::LOCALHOST,
                    created: String::new(),
                    running: None,
                    restarts: 0,
                    last: None,
                },
            );
            let hash = pod["metadata"]["labels"]["pod-template-hash"].as_str().unwrap();
            assert_eq!(
                pod["metadata"]["ownerReferences"][0]["name"],
                format!("{}-{hash}", plan.owner.1)
            );
        }
    }
}
