//! The pods of a made-up node: one container each, with the labels that a team's deployment carries.
//!
//! Numbers stand for names, so that a cgroup, a pod in the index and a pod in the API server meet again.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use collector::cgroup::{ContainerId, PodUid};
use collector::labels::{Label, Origin};
use collector::pods::index::Index;
use collector::pods::model::{
    Amounts, Container, Cut, Node, Phase, Pod, Qos, Resources, Role, State, Status, Workload,
};
use collector::pods::startup::Startup;
use serde_json::{Value, json};

/// The node's name.
pub(crate) const NODE: &str = "bench-node";

/// A pod's uid, as its cgroup and the API have it.
pub(crate) fn uid(number: usize) -> String {
    format!("2f3c1c9e-0a4e-4c0b-9d8e-{number:012x}")
}

/// The id of a pod's only container.
pub(crate) fn id(number: usize) -> String {
    format!("{:064x}", 0xc0_ffee_0000 + number)
}

/// Its name in the API.
pub(crate) fn name(number: usize) -> String {
    format!("checkout-worker-{}-7c9f6d5b8c-{number:05x}", number % 12)
}

/// Its namespace: ten of them.
pub(crate) fn namespace(number: usize) -> String {
    format!("team-{}-production", number % 10)
}

/// Its labels and annotations.
pub(crate) fn labels(number: usize) -> [(&'static str, String); 9] {
    [
        ("app.kubernetes.io/name", format!("checkout-worker-{}", number % 12)),
        ("app.kubernetes.io/instance", format!("checkout-worker-{}-production", number % 12)),
        ("app.kubernetes.io/version", "2026.11.3-4f2c9a1".to_owned()),
        ("app.kubernetes.io/part-of", "checkout".to_owned()),
        ("app.kubernetes.io/managed-by", "Helm".to_owned()),
        ("application", "checkout".to_owned()),
        ("component", if number.is_multiple_of(2) { "api" } else { "worker" }.to_owned()),
        ("team", format!("team-{}", number % 10)),
        ("cost-center", format!("cc-{:04}", 1000 + number % 10)),
    ]
}

/// The index of a node that runs `count` of them.
pub(crate) fn index(count: usize) -> Arc<Index> {
    let mut index = Index::default();
    (0..count).for_each(|number| index.insert(Arc::new(pod(number))));
    let amounts =
        |cpu, memory| Amounts { cpu: Some(cpu), memory: Some(memory), ..Amounts::default() };
    index.set_node(Some(Arc::new(Node {
        name: NODE.into(),
        capacity: amounts(64.0, 256e9),
        pods_capacity: Some(500.0),
        allocatable: amounts(63.0, 250e9),
        pods_allocatable: Some(500.0),
        unschedulable: false,
        conditions: ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"]
            .map(|name| (name.into(), if name == "Ready" { "True" } else { "False" }.into()))
            .to_vec(),
    })));
    Arc::new(index)
}

fn pod(number: usize) -> Pod {
    let started = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    let mut labels: Vec<Label> = labels(number)
        .into_iter()
        .map(|(key, value)| Label {
            origin: Origin::PodLabel,
            key: key.into(),
            name: format!("label_{}", key.replace(['.', '/', '-'], "_")).into(),
            value: value.into(),
        })
        .collect();
    labels.sort_by(|a, b| a.name.cmp(&b.name));
    let workload = Workload {
        kind: "Deployment".into(),
        name: format!("checkout-worker-{}", number % 12).into(),
    };
    Pod {
        uid: PodUid::parse(&uid(number)).unwrap_or(PodUid::Uid(number as u128)),
        config_hash: None,
        namespace: namespace(number).into(),
        name: name(number).into(),
        owner: Some(workload.clone()),
        workload,
        labels,
        cut: Cut::default(),
        host_network: false,
        ip: Some(format!("10.1.{}.{}", number / 250, number % 250 + 2).into()),
        host_ip: Some("192.168.1.10".into()),
        priority_class: None,
        phase: Phase::Running,
        reason: None,
        qos: Some(Qos::Burstable),
        ready: Some(true),
        ready_since: Some(started),
        scheduled: Some(started),
        created: Some(started),
        started: Some(started),
        deleted: None,
        containers: vec![container(number, started)],
        resources: None,
        overhead: Amounts::default(),
        startup: Startup::default(),
        revision: None,
        claims: Vec::new(),
    }
}

fn container(number: usize, started: SystemTime) -> Container {
    let amounts =
        |cpu, memory| Amounts { cpu: Some(cpu), memory: Some(memory), ..Amounts::default() };
    let mut limits = amounts(1.0, 512e6);
    if number.is_multiple_of(4) {
        limits.others.push(("hugepages-2Mi".into(), 64e6));
    }
    Container {
        name: "main".into(),
        role: Role::Regular,
        resources: Resources { requests: amounts(0.25, 256e6), limits },
        status: Some(Status {
            id: Some(ContainerId::new(&id(number))),
            restarts: 1,
            ready: true,
            state: State::Running(Some(started)),
            message: None,
            last: None,
        }),
    }
}

/// A pod as the API server has it.
pub(crate) fn object(number: usize) -> Value {
    let labels: serde_json::Map<String, Value> =
        labels(number).into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    let resources = json!({
        "requests": {"cpu": "250m", "memory": "256M"}, "limits": {"cpu": "1", "memory": "512M"},
    });
    let at = "2026-09-21T13:33:20Z";
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
        .map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": at}));
    let env: Vec<Value> = (0..20)
        .map(|at| json!({"name": format!("SETTING_{at}"), "value": "a value of usual length"}))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name(number), "namespace": namespace(number), "uid": uid(number),
            "creationTimestamp": at, "labels": labels,
            "annotations": {
                "owner": format!("team-{}@example.com", number % 10),
                "checksum/config": format!("{number:064x}"),
                "prometheus.io/scrape": "true",
            },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": true,
                "name": format!("checkout-worker-{}-7c9f6d5b8c", number % 12),
                "uid": uid(10_000 + number),
            }],
        },
        "spec": {
            "nodeName": NODE,
            "containers": [{
                "name": "main", "image": "registry.example.com/checkout/worker:2026.11.3",
                "resources": resources,
                "env": env,
            }],
        },
        "status": {
            "phase": "Running", "qosClass": "Burstable", "startTime": at, "hostIP": "192.168.1.10",
            "podIP": format!("10.1.{}.{}", number / 250, number % 250 + 2),
            "conditions": conditions,
            "containerStatuses": [{
                "name": "main", "ready": true, "started": true, "restartCount": 1,
                "containerID": format!("containerd://{}", id(number)),
                "state": {"running": {"startedAt": at}}, "lastState": {},
                "image": "registry.example.com/checkout/worker:2026.11.3", "imageID": "",
            }],
        },
    })
}

/// The node as the API server has it.
pub(crate) fn node() -> Value {
    let amounts = json!({"cpu": "64", "memory": "256Gi", "pods": "500"});
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "uid": uid(99_999)},
        "status": {"capacity": amounts, "allocatable": amounts},
    })
}
