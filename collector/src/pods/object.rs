//! What is read of pods and of the node: only the fields that series need.
//!
//! Env, volumes, probes, `managedFields` and the like are read over and never held. Every field is lenient
//! (see [`crate::api::lax`]), so servers from Kubernetes 1.20 on are all read by the same types.

use serde::Deserialize;

use crate::api::lax::{Flag, Lax, List, Map, Text, Whole};
use crate::api::object::{Metadata, objects};

/// Bytes of a kubelet's message that are kept. An image's error names the image three times before it says why.
const MAX_MESSAGE: usize = 1_024;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodObject {
    pub(super) metadata: Lax<Metadata>,
    pub(super) spec: Lax<PodSpec>,
    pub(super) status: Lax<PodStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodSpec {
    pub(super) node_name: Text,
    pub(super) host_network: Flag,
    pub(super) priority_class_name: Text,
    pub(super) init_containers: List<ContainerSpec>,
    pub(super) containers: List<ContainerSpec>,
    pub(super) ephemeral_containers: List<ContainerSpec>,
    /// Pod-level requests and limits, Kubernetes 1.32.
    pub(super) resources: Lax<ResourceSpec>,
    pub(super) overhead: Map,
    pub(super) volumes: List<Volume>,
}

/// A volume, of which only claims of persistent volumes are of interest.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Volume {
    pub(super) name: Text,
    pub(super) persistent_volume_claim: Lax<ClaimSource>,
    /// A claim that is made for the pod and named after it.
    pub(super) ephemeral: Lax<Ephemeral>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ClaimSource {
    pub(super) claim_name: Text,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Ephemeral {}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ContainerSpec {
    pub(super) name: Text,
    pub(super) restart_policy: Text,
    pub(super) resources: Lax<ResourceSpec>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResourceSpec {
    pub(super) requests: Map,
    pub(super) limits: Map,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PodStatus {
    pub(super) phase: Text,
    pub(super) reason: Text,
    #[serde(rename = "podIP")]
    pub(super) pod_ip: Text,
    #[serde(rename = "hostIP")]
    pub(super) host_ip: Text,
    pub(super) qos_class: Text,
    pub(super) start_time: Text,
    pub(super) conditions: List<Condition>,
    pub(super) init_container_statuses: List<ContainerStatus>,
    pub(super) container_statuses: List<ContainerStatus>,
    pub(super) ephemeral_container_statuses: List<ContainerStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: Text,
    pub(super) status: Text,
    pub(super) last_transition_time: Text,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ContainerStatus {
    pub(super) name: Text,
    #[serde(rename = "containerID")]
    pub(super) container_id: Text,
    pub(super) restart_count: Whole,
    pub(super) ready: Flag,
    pub(super) state: Lax<ContainerState>,
    pub(super) last_state: Lax<ContainerState>,
    /// What the runtime applied, Kubernetes 1.27.
    pub(super) resources: Lax<ResourceSpec>,
    /// The requests that the kubelet has admitted, Kubernetes 1.27.
    pub(super) allocated_resources: Map,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContainerState {
    pub(super) waiting: Lax<Waiting>,
    pub(super) running: Lax<Running>,
    pub(super) terminated: Lax<Terminated>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Waiting {
    pub(super) reason: Text,
    pub(super) message: Text<MAX_MESSAGE>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Running {
    pub(super) started_at: Text,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Terminated {
    #[serde(rename = "containerID")]
    pub(super) container_id: Text,
    pub(super) reason: Text,
    pub(super) exit_code: Whole,
    pub(super) finished_at: Text,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeObject {
    pub(super) metadata: Lax<Metadata>,
    pub(super) spec: Lax<NodeSpec>,
    pub(super) status: Lax<NodeStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeSpec {
    pub(super) unschedulable: Flag,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeStatus {
    pub(super) capacity: Map,
    pub(super) allocatable: Map,
    pub(super) conditions: List<Condition>,
}

objects!(PodObject NodeObject);
