//! What all cases share: one cluster, one namespace, one agent; and how it is all left as it was found.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::cluster::account;
use crate::cluster::agent::Agent;
use crate::cluster::image;
use crate::cluster::kernel::Container;
use crate::cluster::recorder::Recorder;
use crate::cluster::tool::Tool;
use crate::cluster::up::Cluster;
use crate::cluster::wait;

/// The class of Ingresses; its name is the namespace's.
const CLASS: &str = include_str!("manifests/class.yaml");
/// The agent's file.
const PROXY: &str = include_str!("manifests/proxy.yaml");
/// Longest wait for a pod to be made and started; eight cases share two cores.
pub(crate) const START: Duration = Duration::from_secs(60);
/// Longest wait for what takes a tick or two.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Everything, in the order in which it is taken down.
pub(crate) struct Suite {
    /// Scrapes the agent.
    pub(crate) recorder: Recorder,
    /// The agent that most cases look at, with a proxy, and with the rights that the repository's manifests grant.
    pub(crate) agent: Arc<Agent>,
    /// The kubeconfig of an account with these rights.
    pub(crate) rights: PathBuf,
    /// The cases' own namespace.
    pub(crate) namespace: Namespace,
    /// Where the kubelet looks for static pods.
    pub(crate) static_pods: StaticPods,
    /// Held while a manifest is applied: cases share some, and two kubectls would both create.
    applying: Mutex<()>,
    /// Held to change the cluster under everyone's feet.
    steady: RwLock<()>,
    /// The cluster.
    pub(crate) cluster: Cluster,
    /// For files of the cases.
    pub(crate) scratch: TempDir,
}

impl Suite {
    /// Brings everything up.
    pub(crate) fn new(tool: Tool) -> Self {
        let scratch = TempDir::new().expect("a temporary folder");
        let cluster = Cluster::up(tool);
        let static_pods = StaticPods::enable(&cluster.0, &scratch.path().join("static"));
        image::make(&cluster.0, &scratch.path().join("image"));
        let namespace = Namespace::new(cluster.0.clone());
        let rights = rights(&cluster.0, &namespace.name, scratch.path());
        let config = scratch.path().join("agent.yaml");
        fs::write(&config, PROXY.replace("NAMESPACE", &namespace.name)).expect("it can be written");
        let agent = Arc::new(Agent::proxying(&rights, &config));
        agent.ready();
        let recorder = Recorder::start(agent.clone());
        Self {
            recorder,
            agent,
            rights,
            namespace,
            static_pods,
            applying: Mutex::default(),
            steady: RwLock::default(),
            cluster,
            scratch,
        }
    }

    /// The tool.
    pub(crate) fn tool(&self) -> &Tool {
        &self.cluster.0
    }

    /// Promises that the cluster's own processes stay as they are.
    pub(crate) fn steady(&self) -> RwLockReadGuard<'_, ()> {
        self.steady.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no case relies on the cluster's own processes.
    pub(crate) fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        self.steady.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies a manifest in the cases' namespace.
    pub(crate) fn apply(&self, manifest: &str) {
        let _one = self.applying.lock().unwrap_or_else(PoisonError::into_inner);
        let manifest = manifest.replace("NAMESPACE", &self.namespace.name);
        self.tool().apply(&self.namespace.name, &manifest);
    }

    /// kubectl in the cases' namespace.
    pub(crate) fn kubectl(&self, words: &[&str]) -> String {
        self.tool().kubectl(&[&["-n", &self.namespace.name], words].concat())
    }

    /// A pod as the API server has it.
    pub(crate) fn pod(&self, name: &str) -> Option<Value> {
        self.tool().object(&["-n", &self.namespace.name, "pod", name])
    }

    /// The name of the pod that has a label, once there is one.
    pub(crate) fn pod_with(&self, label: &str) -> String {
        wait::until(&format!("a pod with {label}"), START, || {
            let names = self.kubectl(&["get", "pods", "-l", label, "-o", "name"]);
            names.lines().next()?.strip_prefix("pod/").map(str::to_owned)
        })
    }

    /// A container's cgroups, once it runs.
    pub(crate) fn running(&self, pod: &str, container: &str) -> Container {
        wait::until(&format!("{pod}/{container} runs"), START, || self.container(pod, container))
    }

    /// A container's cgroups, if it runs.
    pub(crate) fn container(&self, pod: &str, container: &str) -> Option<Container> {
        let pod = self.pod(pod)?;
        let all = ["containerStatuses", "initContainerStatuses"];
        let mut statuses = all.iter().filter_map(|list| pod["status"][list].as_array()).flatten();
        let status = statuses.find(|status| status["name"] == container)?;
        status["state"]["running"].as_object()?;
        let hash = pod["metadata"]["annotations"]["kubernetes.io/config.hash"].as_str();
        let uid = hash.or(pod["metadata"]["uid"].as_str())?;
        let (_, id) = status["containerID"].as_str()?.split_once("://")?;
        Some(Container { pod: uid.to_owned(), id: id.to_owned() })
    }
}

/// The kubeconfig of an account with the rights that the repository's manifests grant; the class is made beside it.
fn rights(tool: &Tool, namespace: &str, folder: &Path) -> PathBuf {
    let name = format!("{namespace}-agent");
    let optional = [account::DIAGNOSE_RIGHTS, account::EVENTS_RIGHTS];
    for manifest in [[account::RIGHTS, account::PROXY_RIGHTS], optional].concat() {
        let manifest = account::granted(manifest, &name).replace("NAMESPACE", namespace);
        tool.apply(namespace, &manifest);
    }
    tool.apply(namespace, &CLASS.replace("NAMESPACE", namespace));
    account::kubeconfig(tool, namespace, &name, folder)
}

/// A namespace of this run's own.
pub(crate) struct Namespace {
    /// Its name, which also begins the names of what belongs to no namespace.
    pub(crate) name: String,
    tool: Arc<Tool>,
}

impl Namespace {
    fn new(tool: Arc<Tool>) -> Self {
        let name = format!("podmeter-test-{}", std::process::id());
        tool.kubectl(&["create", "namespace", &name]);
        let namespace = Self { name, tool };
        wait::until("a service account in the namespace", START, || {
            namespace.tool.object(&["-n", &namespace.name, "serviceaccount", "default"])
        });
        namespace
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let kinds = "clusterrolebindings,clusterroles,ingressclasses,volumeattachments,persistentvolumes,nodes";
        let all = self.tool.try_kubectl(&["get", kinds, "-o", "name"]).unwrap_or_default();
        let is_ours = |line: &&str| {
            line.split_once('/').is_some_and(|(_, name)| name.starts_with(&self.name))
        };
        for line in all.lines().filter(is_ours) {
            let _ = self.tool.try_kubectl(&["delete", line, "--wait=false"]);
        }
        // Nobody waits for what they still have to say.
        let pods = ["-n", &self.name, "delete", "deployments,pods", "--all", "--force"];
        let _ = self.tool.try_kubectl(&[&pods[..], &["--grace-period=0", "--wait=false"]].concat());
        if let Err(error) =
            self.tool.try_kubectl(&["delete", "namespace", &self.name, "--timeout=60s"])
        {
            eprintln!("cluster: namespace {} is left: {error}", self.name);
        }
    }
}

/// The kubelet, made to run static pods from a folder: its configuration names none.
pub(crate) struct StaticPods {
    tool: Arc<Tool>,
    /// The kubelet's command line as it was.
    command: Vec<String>,
    /// The folder.
    pub(crate) folder: PathBuf,
}

impl StaticPods {
    fn enable(tool: &Arc<Tool>, folder: &Path) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        let mut command = tool.command("kubelet");
        command.retain(|word| !word.starts_with("--pod-manifest-path="));
        let pods = Self { tool: tool.clone(), command, folder: folder.to_owned() };
        let flag = format!("--pod-manifest-path={}", folder.display());
        pods.restart(&[pods.command.as_slice(), &[flag]].concat());
        pods
    }

    /// Running containers do not notice.
    fn restart(&self, command: &[String]) {
        self.tool.kill("kubelet");
        self.tool.start("kubelet", command);
        let healthy = "/api/v1/nodes/node1/proxy/healthz";
        wait::until("the kubelet answers", START, || {
            self.tool.try_kubectl(&["get", "--raw", healthy]).ok()
        });
    }
}

impl Drop for StaticPods {
    fn drop(&mut self) {
        self.restart(&self.command);
    }
}
