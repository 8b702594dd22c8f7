//! From the API's objects to the model: what is kept, bounded, and what is refused.
//!
//! Pure and total: any object gives a pod or the reason why not.

use std::collections::HashSet;
use std::mem::take;
use std::sync::Arc;

use super::labels::Rules;
use super::model::{
    Amounts, Claim, Container, Node, Phase, Pod, Qos, Resources, Role, State, Status, Termination,
};
use super::object::{
    Condition, ContainerSpec, ContainerState, ContainerStatus, Ephemeral, NodeObject, PodObject,
    PodSpec, PodStatus, Terminated, Volume,
};
use super::startup::{Readiness, Startup};
use super::{resources, workload};
use crate::api::health::Skipped;
use crate::api::lax::{List, Map, Text};
use crate::api::object::Metadata;
use crate::cgroup::{ContainerId, PodUid};

/// The annotation by which a static pod's mirror names the pod's cgroup.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";
/// Conditions of a node that are kept; Kubernetes has five, node-problem-detector adds some.
const MAX_CONDITIONS: usize = 32;
/// Claims of a pod that are kept; a node attaches fewer volumes than that.
const MAX_CLAIMS: usize = 32;
/// Where controllers write what of a workload a pod was made from, the Deployment's first.
const REVISIONS: [&str; 3] =
    ["pod-template-hash", "rollouts-pod-template-hash", "controller-revision-hash"];
/// Reasons to wait that say everything, or whose message changes with every try.
const PLAIN: [&str; 3] = ["ContainerCreating", "PodInitializing", "CrashLoopBackOff"];

/// The uid, if it is one. An API object's is a UUID; a bare hash is a static pod's cgroup.
pub(super) fn uid(metadata: &Metadata) -> Result<PodUid, Skipped> {
    PodUid::parse(metadata.uid.as_str()).ok_or(Skipped::NoUid)
}

/// What is kept of a pod of `node`.
pub(super) fn pod(object: PodObject, node: &str, rules: &Rules) -> Result<Pod, Skipped> {
    let metadata = object.metadata.into_inner();
    let uid = uid(&metadata)?;
    let (Some(name), Some(namespace)) = (metadata.name.0, metadata.namespace.0) else {
        return Err(Skipped::NoName);
    };
    let mut spec = object.spec.into_inner();
    if !spec.node_name.is(node) {
        return Err(Skipped::OtherNode);
    }
    let status = object.status.into_inner();
    let (labels, cut) = rules.pod(&metadata.labels, &metadata.annotations);
    let owner = workload::controller(&metadata.owner_references);
    let ready = condition(&status.conditions, "Ready");
    let is_ready = ready.and_then(truth);
    let scheduled = condition(&status.conditions, "PodScheduled")
        .filter(|condition| truth(condition) == Some(true));
    let containers = containers(&mut spec, &status);
    let phase = phase(&status);
    let scheduled = scheduled.and_then(|scheduled| scheduled.last_transition_time.time());
    let ready_changed = ready.and_then(|ready| ready.last_transition_time.time());
    let started = status.start_time.time();
    Ok(Pod {
        uid,
        startup: Startup::at_first_sight(&Readiness {
            phase,
            is_ready: is_ready == Some(true),
            changed: ready_changed,
            scheduled,
            started,
            containers: &containers,
        }),
        revision: REVISIONS.iter().find_map(|key| metadata.labels.value(key)).cloned(),
        claims: if phase == Phase::Pending { claims(spec.volumes, &name) } else { Vec::new() },
        config_hash: config_hash(&metadata.annotations),
        workload: workload::of(owner.as_ref(), &metadata.labels, &name, node),
        namespace,
        name,
        owner,
        labels,
        cut,
        host_network: spec.host_network.0,
        priority_class: spec.priority_class_name.0,
        phase,
        qos: qos(&status),
        ready: is_ready,
        ready_since: ready_changed.filter(|_| is_ready == Some(true)),
        scheduled,
        created: metadata.creation_timestamp.time(),
        started,
        deleted: metadata.deletion_timestamp.time(),
        ip: status.pod_ip.0,
        host_ip: status.host_ip.0,
        reason: status.reason.0,
        containers,
        resources: spec.resources.0.as_ref().map(Resources::read),
        overhead: Amounts::read(&spec.overhead),
    })
}

/// All containers of the spec, each with its status.
fn containers(spec: &mut PodSpec, status: &PodStatus) -> Vec<Container> {
    let (init, regular) = (take(&mut spec.init_containers), take(&mut spec.containers));
    let ephemeral = take(&mut spec.ephemeral_containers);
    let mut containers = Vec::with_capacity(regular.0.len() + init.0.len());
    containers.extend(listed(init, Role::Init, &status.init_container_statuses));
    containers.extend(listed(regular, Role::Regular, &status.container_statuses));
    containers.extend(listed(ephemeral, Role::Ephemeral, &status.ephemeral_container_statuses));
    unique(&mut containers);
    containers
}

/// The volumes that are claims.
fn claims(volumes: List<Volume>, pod: &str) -> Vec<Claim> {
    let claim = |volume: Volume| {
        let name = match (volume.persistent_volume_claim.0, volume.ephemeral.0) {
            (Some(source), _) => source.claim_name.0?,
            // Named so by Kubernetes: the pod, a hyphen, the volume.
            (None, Some(Ephemeral {})) => format!("{pod}-{}", volume.name.as_str()).into(),
            (None, None) => return None,
        };
        Some(Claim { volume: volume.name.0?, name })
    };
    volumes.0.into_iter().filter_map(claim).take(MAX_CLAIMS).collect()
}

/// What is kept of the node.
pub(super) fn node(object: NodeObject) -> Result<Node, Skipped> {
    let name = object.metadata.into_inner().name.0.ok_or(Skipped::NoName)?;
    let status = object.status.into_inner();
    let pods = |map: &Map| super::quantity::parse(map.value("pods")?);
    let without_pods = |map: &Map| {
        let mut amounts = Amounts::read(map);
        // How many pods fit has a field of its own.
        amounts.others.retain(|(name, _)| &**name != "pods");
        amounts
    };
    let conditions = status
        .conditions
        .0
        .iter()
        .filter_map(|condition| Some((condition.kind.0.clone()?, condition.status.0.clone()?)));
    let mut seen = HashSet::new();
    let conditions = conditions.filter(|(kind, _)| seen.insert(kind.clone()));
    Ok(Node {
        name,
        capacity: without_pods(&status.capacity),
        pods_capacity: pods(&status.capacity),
        allocatable: without_pods(&status.allocatable),
        pods_allocatable: pods(&status.allocatable),
        unschedulable: object.spec.into_inner().unschedulable.0,
        conditions: conditions.take(MAX_CONDITIONS).collect(),
    })
}

fn config_hash(annotations: &Map) -> Option<PodUid> {
    let hash = PodUid::parse(annotations.value(CONFIG_HASH)?)?;
    matches!(hash, PodUid::ConfigHash(_)).then_some(hash)
}

/// Leaves one container of each name. The API takes a name once in all lists of a pod, yet a series
/// that stands twice would cost an exporter all the others.
fn unique(containers: &mut Vec<Container>) {
    let is_regular = |container: &Container| container.role == Role::Regular;
    let regular: HashSet<Arc<str>> =
        containers.iter().filter(|one| is_regular(one)).map(|one| one.name.clone()).collect();
    let mut seen = HashSet::new();
    containers.retain(|one| {
        (is_regular(one) || !regular.contains(&one.name)) && seen.insert(one.name.clone())
    });
}

/// The containers of one list of the spec, each with its status.
fn listed(
    specs: List<ContainerSpec>,
    role: Role,
    statuses: &List<ContainerStatus>,
) -> impl Iterator<Item = Container> {
    specs.0.into_iter().filter_map(move |spec| {
        let name = spec.name.0?;
        let status = statuses.0.iter().find(|status| status.name.is(&name));
        let is_sidecar = role == Role::Init && spec.restart_policy.is("Always");
        Some(Container {
            name,
            role: if is_sidecar { Role::Sidecar } else { role },
            resources: resources::in_force(&spec.resources.into_inner(), status),
            status: status.map(pruned),
        })
    })
}

fn pruned(status: &ContainerStatus) -> Status {
    let last = status.last_state.0.as_ref();
    Status {
        id: container_id(&status.container_id),
        restarts: status.restart_count.0.and_then(|count| count.try_into().ok()).unwrap_or(0),
        ready: status.ready.0,
        state: status.state.0.as_ref().map_or(State::Unknown, state),
        message: status.state.0.as_ref().and_then(message),
        last: last.and_then(|state| state.terminated.0.as_ref()).map(termination),
    }
}

fn state(state: &ContainerState) -> State {
    if let Some(terminated) = &state.terminated.0 {
        State::Terminated(termination(terminated))
    } else if let Some(running) = &state.running.0 {
        State::Running(running.started_at.time())
    } else if let Some(waiting) = &state.waiting.0 {
        State::Waiting(waiting.reason.0.clone())
    } else {
        State::Unknown
    }
}

fn message(state: &ContainerState) -> Option<Arc<str>> {
    let waiting = state.waiting.0.as_ref()?;
    let is_plain = PLAIN.iter().any(|plain| waiting.reason.is(plain));
    waiting.message.0.clone().filter(|_| !is_plain)
}

fn termination(terminated: &Terminated) -> Termination {
    Termination {
        id: container_id(&terminated.container_id),
        reason: terminated.reason.0.clone(),
        exit_code: terminated.exit_code.0.and_then(|code| code.try_into().ok()).unwrap_or(0),
        finished: terminated.finished_at.time(),
    }
}

/// `containerd://<id>` without the scheme.
fn container_id(text: &Text) -> Option<ContainerId> {
    let text: &Arc<str> = text.0.as_ref()?;
    let id = text.split_once("://").map_or(&**text, |(_, id)| id);
    (!id.is_empty()).then(|| ContainerId::new(id))
}

fn condition<'a>(conditions: &'a List<Condition>, kind: &str) -> Option<&'a Condition> {
    conditions.0.iter().find(|condition| condition.kind.is(kind))
}

fn truth(condition: &Condition) -> Option<bool> {
    match condition.status.as_str() {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    }
}

fn phase(status: &PodStatus) -> Phase {
    Phase::ALL.into_iter().find(|phase| status.phase.is(phase.as_str())).unwrap_or_default()
}

fn qos(status: &PodStatus) -> Option<Qos> {
    Qos::ALL.into_iter().find(|qos| status.qos_class.is(qos.as_str()))
}

#[cfg(test)]
pub(crate) mod tests;
