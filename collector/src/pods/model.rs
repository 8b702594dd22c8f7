//! What is kept of a Pod and of the Node: the few fields that series need, bounded.

use std::sync::Arc;
use std::time::SystemTime;

use crate::cgroup::{ContainerId, PodUid};
use crate::labels::Label;
use crate::pods::startup::Startup;

/// A pod, pruned.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    /// `metadata.uid`; for a static pod's mirror the API's own uid, not the one its cgroup carries.
    pub uid: PodUid,
    /// Annotation `kubernetes.io/config.hash`: how a static pod's cgroup names it.
    pub config_hash: Option<PodUid>,
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
    /// What runs it.
    pub workload: Workload,
    /// `metadata.ownerReferences`, the controller: kind and name, before any rule of ours.
    pub owner: Option<Workload>,
    /// Labels and annotations that go on its series, already filtered, bounded, named and sorted by name.
    pub labels: Vec<Label>,
    /// How many labels and annotations the bounds cut.
    pub cut: Cut,
    /// `spec.hostNetwork`.
    pub host_network: bool,
    /// `status.podIP`.
    pub ip: Option<Arc<str>>,
    /// `status.hostIP`.
    pub host_ip: Option<Arc<str>>,
    /// `spec.priorityClassName`.
    pub priority_class: Option<Arc<str>>,
    /// `status.phase`.
    pub phase: Phase,
    /// `status.reason`, such as `Evicted`.
    pub reason: Option<Arc<str>>,
    /// `status.qosClass`.
    pub qos: Option<Qos>,
    /// Condition `Ready`: `None` while unknown.
    pub ready: Option<bool>,
    /// When condition `Ready` last became true, while it is.
    pub ready_since: Option<SystemTime>,
    /// When condition `PodScheduled` became true.
    pub scheduled: Option<SystemTime>,
    /// How long it took from there until it was ready for the first time.
    pub startup: Startup,
    /// What of its workload it was made from: the hash of the pod template or of the controller's revision.
    pub revision: Option<Arc<str>>,
    /// `metadata.creationTimestamp`.
    pub created: Option<SystemTime>,
    /// `status.startTime`.
    pub started: Option<SystemTime>,
    /// `metadata.deletionTimestamp`.
    pub deleted: Option<SystemTime>,
    /// Volumes that are claims of persistent volumes, while it is `Pending`: what may keep it so.
    pub claims: Vec<Claim>,
    /// All containers: init, sidecar, regular, ephemeral, in that order.
    pub containers: Vec<Container>,
    /// Pod-level requests and limits (Kubernetes 1.32), if the spec has them.
    pub resources: Option<Resources>,
    /// `spec.overhead`, from the `RuntimeClass`.
    pub overhead: Amounts,
}

/// Who owns a pod, by the name people know it by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Workload {
    /// `Deployment`, `StatefulSet`, `CronJob`, … `Pod` for a bare pod, `Node` never.
    pub kind: Arc<str>,
    /// The object's name.
    pub name: Arc<str>,
}

/// A volume of a pod that a `PersistentVolumeClaim` stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Its name in the pod's spec.
    pub volume: Arc<str>,
    /// The name of the claim, in the pod's namespace.
    pub name: Arc<str>,
}

/// Labels and annotations that were left out, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// Beyond the number of keys.
    pub count: u32,
    /// Values that were shortened to the length bound.
    pub length: u32,
}

/// Which list of the spec a container is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Runs before the others and ends.
    Init,
    /// `initContainers` with `restartPolicy: Always`.
    Sidecar,
    /// `containers`.
    Regular,
    /// `ephemeralContainers`.
    Ephemeral,
}

/// One container of a pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// Its name in the spec.
    pub name: Arc<str>,
    /// Which list it is in.
    pub role: Role,
    /// Requests and limits in force: the status's (after an in-place resize) before the spec's.
    pub resources: Resources,
    /// What the kubelet reports; `None` until it does.
    pub status: Option<Status>,
}

impl Container {
    /// Whether its current incarnation has this id.
    #[must_use]
    pub fn is(&self, id: &ContainerId) -> bool {
        self.status.as_ref().is_some_and(|status| status.id.as_ref() == Some(id))
    }
}

/// `status.containerStatuses[]`, pruned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The current container, without the runtime's scheme.
    pub id: Option<ContainerId>,
    /// Restarts so far.
    pub restarts: u32,
    /// Passes its readiness probe.
    pub ready: bool,
    /// What it is doing now.
    pub state: State,
    /// Why it waits, in the kubelet's words; kept only where they say more than the reason.
    pub message: Option<Arc<str>>,
    /// How the one before ended.
    pub last: Option<Termination>,
}

/// `state` of a container status.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum State {
    /// The status says nothing.
    #[default]
    Unknown,
    /// Not started, with the reason, such as `CrashLoopBackOff`.
    Waiting(Option<Arc<str>>),
    /// Since when.
    Running(Option<SystemTime>),
    /// Ended.
    Terminated(Termination),
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Termination {
    /// Which container, without the runtime's scheme.
    pub id: Option<ContainerId>,
    /// Such as `OOMKilled`, `Error`, `Completed`.
    pub reason: Option<Arc<str>>,
    /// The process's exit code.
    pub exit_code: i32,
    /// When it ended.
    pub finished: Option<SystemTime>,
}

/// Requests and limits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    /// What the scheduler reserves.
    pub requests: Amounts,
    /// What the kernel enforces.
    pub limits: Amounts,
}

/// Amounts by resource. CPU and memory are what everyone has; the rest keep their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Amounts {
    /// Cores.
    pub cpu: Option<f64>,
    /// Bytes.
    pub memory: Option<f64>,
    /// Bytes of local storage.
    pub ephemeral_storage: Option<f64>,
    /// Any other, such as `nvidia.com/gpu` or `hugepages-2Mi`, bounded to 8.
    pub others: Vec<(Arc<str>, f64)>,
}

/// `status.phase`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
    #[default]
    Unknown,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Succeeded, Self::Failed, Self::Unknown, Self::Running];

    /// Whether all its containers have ended for good, although the API still has it.
    #[must_use]
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }

    /// The label value: the API's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Unknown => "Unknown",
        }
    }
}

/// `status.qosClass`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the API's own words")]
pub enum Qos {
    Guaranteed,
    Burstable,
    BestEffort,
}

impl Qos {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::BestEffort, Self::Burstable, Self::Guaranteed];

    /// The label value: the API's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }
}

/// This node, pruned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `status.capacity`.
    pub capacity: Amounts,
    /// `status.capacity.pods`.
    pub pods_capacity: Option<f64>,
    /// `status.allocatable`.
    pub allocatable: Amounts,
    /// `status.allocatable.pods`.
    pub pods_allocatable: Option<f64>,
    /// `spec.unschedulable`.
    pub unschedulable: bool,
    /// `status.conditions`: type and status (`True`, `False`, `Unknown`).
    pub conditions: Vec<(Arc<str>, Arc<str>)>,
}
