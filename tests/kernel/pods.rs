//! Pods that an API server knows: the embedded one, so that a test says what the kubelet would.

use agent::apiserver::ApiServer;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::Config;
use crate::cgroups::Tree;
use crate::page::Page;
use crate::podmeter::{self, Agent};

/// An API server in this process.
pub(crate) struct Api {
    server: ApiServer,
    kubeconfig: tempfile::NamedTempFile,
    /// Serves as long as it lives.
    _runtime: Runtime,
}

/// A pod with one container `app`.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) name: &'static str,
    pub(crate) uid: String,
    pub(crate) host_network: bool,
    /// The id of the container that runs.
    pub(crate) id: String,
    /// The id of the one before it, which the OOM killer ended.
    pub(crate) killed: Option<String>,
}

impl Api {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(ApiServer::start()).unwrap();
        let kubeconfig = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(kubeconfig.path(), server.kubeconfig()).unwrap();
        Self { server, kubeconfig, _runtime: runtime }
    }

    /// Says what the kubelet would say.
    pub(crate) fn apply(&self, pod: &Pod) {
        self.server.apply(pod.object());
    }

    /// A running agent with names.
    pub(crate) fn run(&self, tree: &Tree) -> Agent {
        let config = Config::new(tree);
        Agent::start(&["--interval", "1s", "--kubeconfig", self.path(), "--config", config.path()])
    }

    /// One page with names.
    pub(crate) fn once(&self, tree: &Tree) -> Page {
        let config = Config::new(tree);
        let mut command = podmeter::command();
        command.args(["once", "--strict", "--kubeconfig", self.path(), "--config", config.path()]);
        podmeter::page(&mut command)
    }

    fn path(&self) -> &str {
        self.kubeconfig.path().to_str().unwrap()
    }
}

impl Pod {
    pub(crate) fn new(name: &'static str, uid: &str, id: &str) -> Self {
        Self { name, uid: uid.to_owned(), host_network: false, id: id.to_owned(), killed: None }
    }

    /// Labels of its container's series.
    pub(crate) fn labels(&self) -> [(&str, &str); 3] {
        [("namespace", "kernel"), ("pod", self.name), ("container", "app")]
    }

    fn object(&self) -> Value {
        let last = self.killed.as_ref().map_or_else(|| json!({}), |id| {
            json!({"terminated": {
                "containerID": format!("containerd://{id}"), "reason": "OOMKilled", "exitCode": 137,
                "startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z",
            }})
        });
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"namespace": "kernel", "name": self.name, "uid": self.uid},
            "spec": {
                "nodeName": "kernel", "hostNetwork": self.host_network,
                "containers": [{"name": "app", "image": "app"}],
            },
            "status": {"phase": "Running", "containerStatuses": [{
                "name": "app", "image": "app", "imageID": "", "ready": true,
                "containerID": format!("containerd://{}", self.id),
                "restartCount": i32::from(self.killed.is_some()),
                "state": {"running": {"startedAt": "2026-01-01T00:00:02Z"}},
                "lastState": last,
            }]},
        })
    }
}
