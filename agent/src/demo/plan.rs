//! What the demo's cluster looks like: three applications, nine pods, and what each process does.
//!
//! Data and its translation into the API's words; nothing is started here.

use serde_json::{Value, json};

use crate::cli::Job;

/// MiB.
pub const MI: u64 = 1 << 20;
/// The only node there is.
pub const NODE: &str = "demo";

/// One pod with one container.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Also the namespace.
    pub application: &'static str,
    /// Label `component`, and the container's name.
    pub component: &'static str,
    /// Label `role`: `api`, `worker` or `cache`.
    pub role: &'static str,
    /// Label `version`: `canary` or `stable`.
    pub version: &'static str,
    /// Annotation `team`.
    pub team: &'static str,
    /// What runs it: kind and name.
    pub owner: (&'static str, &'static str),
    /// The pod's name behind its owner's: a `ReplicaSet`'s hash and five characters, or an ordinal.
    pub suffix: &'static str,
    /// Millicores and bytes.
    pub requests: (u64, u64),
    /// Millicores (0 for none) and bytes.
    pub limits: (u64, u64),
    /// What its process does.
    pub job: Job,
    /// What there is to see, if there is something.
    pub remark: Option<&'static str>,
}

impl Plan {
    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.owner.1, self.suffix)
    }

    /// Whether requests are limits.
    #[must_use]
    pub fn is_guaranteed(&self) -> bool {
        self.requests == self.limits
    }

    /// Where the kubelet puts a pod of this one's `QoS` class, below the subtree.
    #[must_use]
    pub fn parent(&self) -> &'static str {
        if self.is_guaranteed() { "kubepods" } else { "kubepods/burstable" }
    }

    fn owner_reference(&self) -> Value {
        let (kind, name) = self.owner;
        let (kind, name) = match (kind, self.suffix.split_once('-')) {
            ("Deployment", Some((hash, _))) => ("ReplicaSet", format!("{name}-{hash}")),
            _ => (kind, name.to_owned()),
        };
        json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": super::tree::uuid(), "controller": true, "blockOwnerDeletion": true})
    }

    fn labels(&self) -> Value {
        let mut labels = json!({
            "application": self.application, "component": self.component, "role": self.role, "version": self.version,
        });
        match (self.owner.0, self.suffix.split_once('-')) {
            ("Deployment", Some((hash, _))) => labels["pod-template-hash"] = hash.into(),
            _ => labels["apps.kubernetes.io/pod-index"] = self.suffix.into(),
        }
        labels
    }
}

/// How the one container of a pod is doing.
#[derive(Clone, Debug)]
pub struct State {
    /// `metadata.uid`.
    pub uid: String,
    /// The pod's address; made up, the processes share the machine's network.
    pub ip: String,
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
            "labels": plan.labels(), "annotations": {"team": plan.team}, "ownerReferences": [plan.owner_reference()],
        },
        "spec": {
            "nodeName": NODE,
            "containers": [{"name": plan.component, "image": "podmeter/demo", "resources": resources}],
        },
        "status": {
            "phase": "Running", "qosClass": if plan.is_guaranteed() { "Guaranteed" } else { "Burstable" },
            "podIP": state.ip, "hostIP": "127.0.0.1", "startTime": state.created,
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

/// The nine pods.
#[must_use]
pub fn plans() -> Vec<Plan> {
    shop().into_iter().chain(billing()).chain(search()).collect()
}

/// An HTTP app with what most pods here have.
fn api(application: &'static str, team: &'static str, component: &'static str) -> Plan {
    Plan {
        application,
        component,
        role: "api",
        version: "stable",
        team,
        owner: ("Deployment", component),
        suffix: "0",
        requests: (50, 32 * MI),
        limits: (200, 64 * MI),
        job: Job::Http { delay: 20, hold: 4 },
        remark: None,
    }
}

fn shop() -> [Plan; 4] {
    let checkout = Plan {
        owner: ("Deployment", "shop-checkout"),
        suffix: "7d4b9c6f58-x2k8p",
        ..api("shop", "storefront", "checkout")
    };
    [
        Plan {
            version: "canary",
            owner: ("Deployment", "shop-checkout-canary"),
            suffix: "6f9d8b7c49-q7m2n",
            job: Job::Http { delay: 120, hold: 8 },
            ..checkout.clone()
        },
        Plan {
            component: "mailer",
            role: "worker",
            owner: ("Deployment", "shop-mailer"),
            suffix: "5c8f7d9b64-h4t6z",
            requests: (100, 32 * MI),
            job: Job::Burn { cores: 0.6, hold: 4 },
            remark: Some("wants 0.6 cores, may use 0.2: throttled"),
            ..checkout.clone()
        },
        Plan {
            component: "sessions",
            role: "cache",
            owner: ("StatefulSet", "shop-sessions"),
            suffix: "0",
            requests: (100, 48 * MI),
            limits: (100, 48 * MI),
            job: Job::Burn { cores: 0.01, hold: 36 },
            remark: Some("sits at about 80% of its memory limit"),
            ..checkout.clone()
        },
        checkout,
    ]
}

fn billing() -> [Plan; 3] {
    let payments = Plan {
        owner: ("Deployment", "billing-payments"),
        suffix: "58b7c9d6f4-j5w9c",
        job: Job::Http { delay: 5, hold: 4 },
        ..api("billing", "payments", "payments")
    };
    [
        Plan {
            component: "invoices",
            role: "worker",
            version: "canary",
            owner: ("Deployment", "billing-invoices"),
            suffix: "84d6f5b7c9-m8v4d",
            job: Job::Drift { from: 16, step: 512 },
            remark: Some(
                "drifts towards its memory limit of 64Mi, is OOM-killed after about 90 s and restarted",
            ),
            ..payments.clone()
        },
        Plan {
            component: "ledger",
            role: "worker",
            owner: ("Deployment", "billing-ledger"),
            suffix: "69c7b8d5f4-s3z7g",
            limits: (0, 64 * MI),
            job: Job::Burn { cores: 0.08, hold: 8 },
            remark: Some("uses more CPU than it requests, and has no CPU limit"),
            ..payments.clone()
        },
        payments,
    ]
}

fn search() -> [Plan; 2] {
    let query = Plan {
        owner: ("Deployment", "search-query"),
        suffix: "7b5d8f9c64-k6n2r",
        job: Job::Http { delay: 40, hold: 8 },
        ..api("search", "discovery", "query")
    };
    [
        Plan {
            component: "indexer",
            role: "worker",
            owner: ("Deployment", "search-indexer"),
            suffix: "4f6c8d7b95-t9x5l",
            requests: (150, 48 * MI),
            limits: (300, 96 * MI),
            job: Job::Burn { cores: 0.12, hold: 24 },
            ..query.clone()
        },
        query,
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn pods_are_nine_with_names_of_their_own() {
        let names: HashSet<_> =
            plans().iter().map(|plan| (plan.application, plan.name())).collect();
        assert_eq!(names.len(), 9);
    }

    #[test]
    fn whole_demo_stays_within_its_budget() {
        let memory: u64 = plans().iter().map(|plan| plan.limits.1).sum();
        assert!(memory < 640 * MI, "limits are what a worst case could hold");
        let cores: f64 = plans()
            .iter()
            .map(|plan| match plan.job {
                Job::Burn { cores, .. } if plan.limits.0 > 0 => {
                    cores.min(plan.limits.0 as f64 / 1000.0)
                }
                Job::Burn { cores, .. } => cores,
                _ => 0.0,
            })
            .sum();
        assert!(cores < 0.6, "{cores}");
    }

    #[test]
    fn replica_set_carries_the_hash_that_the_pods_name_has() {
        for plan in plans().iter().filter(|plan| plan.owner.0 == "Deployment") {
            let pod = pod(
                plan,
                &State {
                    uid: String::new(),
                    ip: String::new(),
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
