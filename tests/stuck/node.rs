//! A node of one container's cgroup, the API server that knows its pods, and the agent between them.

use std::fs;

use agent::apiserver::{ApiServer, Seen};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::podmeter::{Agent, until};

/// The container that has a cgroup; it is the first pod's.
pub(crate) const CONTAINER: &str =
    "abababababababababababababababababababababababababababababababab";

/// The uid of a pod.
pub(crate) fn uid(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// A pod of a Deployment, scheduled long ago; `spec` and `status` go over what it has anyway.
pub(crate) fn pod(number: u32, spec: &Value, status: &Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("web-{number}"), "namespace": "shop", "uid": uid(number), "labels": {"app": "web", "pod-template-hash": "7d4b9c"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-7d4b9c", "controller": true}],
        },
        "spec": {"nodeName": "n1", "containers": [{"name": "main"}]},
        "status": {
            "phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        },
    });
    for (part, over) in [("spec", spec), ("status", status)] {
        for (key, value) in over.as_object().unwrap() {
            pod[part][key] = value.clone();
        }
    }
    pod
}

/// An Event of the core group about a pod.
pub(crate) fn event(number: u32, second: u32, reason: &str, message: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": format!("web-{number}.{second}"), "namespace": "shop"},
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": format!("web-{number}"), "uid": uid(number)},
        "type": "Warning", "reason": reason, "message": message,
        "lastTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
    })
}

/// The node.
pub(crate) struct Node {
    /// Its connections are served while this lives.
    _runtime: Runtime,
    pub(crate) server: ApiServer,
    root: TempDir,
}

impl Node {
    pub(crate) fn start() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let server = runtime.block_on(ApiServer::start()).unwrap();
        server.apply(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}));
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("kubeconfig"), server.kubeconfig()).unwrap();
        cgroup(root.path());
        Self { _runtime: runtime, server, root }
    }

    /// An agent with this configuration file.
    pub(crate) fn agent(&self, config: &str) -> Agent {
        let path = |name: &str| self.root.path().join(name).display().to_string();
        let (file, kubeconfig) = (path("podmeter.yaml"), path("kubeconfig"));
        fs::write(&file, config).unwrap();
        let root = self.root.path().display().to_string();
        let cgroups = ["--cgroup-root", &root];
        let api = ["--kubeconfig", &kubeconfig, "--node", "n1", "--config", &file];
        Agent::start(&[cgroups.as_slice(), api.as_slice()].concat())
    }

    /// Requests for a resource so far.
    pub(crate) fn asked(&self, resource: &str) -> Vec<Seen> {
        let is_of = |seen: &Seen| seen.path.split('/').any(|part| part == resource);
        self.server.requests().into_iter().filter(is_of).collect()
    }
}

/// Waits until the pod is said to be stuck for this reason, with a detail that has `part` in it; the detail.
pub(crate) fn said(agent: &Agent, number: u32, reason: &str, part: &str) -> String {
    let name = format!("web-{number}");
    let labels = [("pod", name.as_str()), ("reason", reason)];
    until(&format!("{name} is stuck for {reason}: {part}"), || {
        let page = agent.scrape();
        let found = page.samples("podmeter_pod_stuck_seconds", &labels).next()?;
        assert!(found.value > 1_000.0, "{found:?}");
        Some(found.labels["detail"].clone()).filter(|detail| detail.contains(part))
    })
}

/// Lines of the agent's log with this text.
pub(crate) fn logged(agent: &Agent, text: &str) -> Vec<String> {
    agent.log().into_iter().filter(|line| line.contains(text)).collect()
}

/// A v1 hierarchy with one container that has 95 MiB of 100 MiB in anonymous memory.
fn cgroup(root: &std::path::Path) {
    const MIB: u64 = 1 << 20;
    let container = format!("kubepods/burstable/pod{}/{CONTAINER}", uid(1));
    let directory = root.join("memory");
    fs::create_dir_all(directory.join(&container)).unwrap();
    for path in directory.join(&container).ancestors().take(4) {
        let put = |name: &str, text: String| fs::write(path.join(name), text).unwrap();
        put("cgroup.procs", String::new());
        put("memory.usage_in_bytes", format!("{}\n", 96 * MIB));
        put("memory.limit_in_bytes", format!("{}\n", 100 * MIB));
        put(
            "memory.stat",
            format!("total_rss {}\ntotal_shmem 0\ntotal_inactive_file 0\n", 95 * MIB),
        );
    }
}
