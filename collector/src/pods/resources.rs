//! Requests and limits: those in force for a container, and a pod's as the scheduler counts them.
//!
//! Sources: KEP-1287 (in-place resize: the status tells what is in force), KEP-753 (native sidecars),
//! KEP-2837 (pod-level resources), and `PodRequests`/`PodLimits` of `k8s.io/component-helpers/resource`.

use std::sync::Arc;

use super::model::{Amounts, Container, Pod, Resources, Role};
use super::object::{ContainerStatus, ResourceSpec};
use super::quantity;
use crate::api::lax::Map;

/// Resources other than CPU, memory and local storage that are kept.
const MAX_OTHERS: usize = 8;

impl Amounts {
    /// Reads `requests`, `limits`, `capacity` and the like. What is not a quantity is left out.
    pub(super) fn read(map: &Map) -> Self {
        let mut amounts = Self::default();
        for (name, text) in &map.entries {
            if let Some(value) = quantity::parse(text).filter(|value| *value >= 0.0) {
                amounts.set(name, value);
            }
        }
        amounts
    }

    /// Every resource that has an amount.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        let named = [
            ("cpu", self.cpu),
            ("memory", self.memory),
            ("ephemeral-storage", self.ephemeral_storage),
        ];
        let named = named.into_iter().filter_map(|(name, value)| Some((name, value?)));
        named.chain(self.others.iter().map(|(name, value)| (&**name, *value)))
    }

    /// The amount of one resource.
    #[must_use]
    pub fn value(&self, resource: &str) -> Option<f64> {
        self.iter().find(|(name, _)| *name == resource).map(|(_, value)| value)
    }

    /// Adds each amount of `other`, such as a pod's to a node's total.
    pub fn add(&mut self, other: &Self) {
        self.merge(other, |mine, theirs| mine + theirs);
    }

    fn raise(&mut self, other: &Self) {
        self.merge(other, f64::max);
    }

    fn put(&mut self, other: &Self) {
        self.merge(other, |_, theirs| theirs);
    }

    fn merge(&mut self, other: &Self, both: impl Fn(f64, f64) -> f64) {
        for (name, theirs) in other.iter() {
            let value = self.value(name).map_or(theirs, |mine| both(mine, theirs));
            self.set(name, value);
        }
    }

    fn set(&mut self, name: &str, value: f64) {
        match name {
            "cpu" => self.cpu = Some(value),
            "memory" => self.memory = Some(value),
            "ephemeral-storage" => self.ephemeral_storage = Some(value),
            _ => match self.others.iter().position(|(other, _)| &**other == name) {
                Some(at) => self.others[at].1 = value,
                None if self.others.len() < MAX_OTHERS => {
                    self.others.push((Arc::from(name), value));
                }
                None => {}
            },
        }
    }

    fn keep(&mut self, keep: impl Fn(&str) -> bool) {
        for (name, slot) in [
            ("cpu", &mut self.cpu),
            ("memory", &mut self.memory),
            ("ephemeral-storage", &mut self.ephemeral_storage),
        ] {
            slot.take_if(|_| !keep(name));
        }
        self.others.retain(|(name, _)| keep(name));
    }
}

impl Resources {
    pub(super) fn read(spec: &ResourceSpec) -> Self {
        Self { requests: Amounts::read(&spec.requests), limits: Amounts::read(&spec.limits) }
    }
}

/// What is in force for a container: what the runtime applied, else what the kubelet admitted, else the spec.
///
/// Resource by resource, because a status may name fewer than the spec does.
pub(super) fn in_force(spec: &ResourceSpec, status: Option<&ContainerStatus>) -> Resources {
    let mut resources = Resources::read(spec);
    if let Some(status) = status {
        resources.requests.put(&Amounts::read(&status.allocated_resources));
        if let Some(applied) = &status.resources.0 {
            resources.requests.put(&Amounts::read(&applied.requests));
            resources.limits.put(&Amounts::read(&applied.limits));
        }
    }
    resources
}

/// What the scheduler reserves for a pod, and what `kubectl describe node` shows as its requests.
///
/// The greater of what runs together (regular containers and sidecars) and of each init container beside the
/// sidecars that start before it; then the pod's own requests where it has them, then the overhead.
#[must_use]
pub fn pod_request(pod: &Pod) -> Amounts {
    let mut total = together(&pod.containers, |resources| &resources.requests);
    if let Some(own) = &pod.resources {
        total.put(&own.requests);
    }
    total.add(&pod.overhead);
    total
}

/// The sum of the limits that are written, as the scheduler's series and `kubectl describe node` have it,
/// whether or not there is a container without a limit beside them.
#[must_use]
pub fn pod_limit(pod: &Pod) -> Amounts {
    let mut total = together(&pod.containers, |resources| &resources.limits);
    if let Some(own) = &pod.resources {
        total.put(&own.limits);
    }
    // Overhead raises a limit but makes none.
    let mut overhead = pod.overhead.clone();
    overhead.keep(|name| total.value(name).is_some_and(|value| value > 0.0));
    total.add(&overhead);
    total
}

fn together(containers: &[Container], of: impl Fn(&Resources) -> &Amounts) -> Amounts {
    let mut running = Amounts::default();
    let mut sidecars = Amounts::default();
    let mut starting = Amounts::default();
    for container in containers {
        let amounts = of(&container.resources);
        match container.role {
            Role::Regular => running.add(amounts),
            Role::Sidecar => {
                running.add(amounts);
                sidecars.add(amounts);
                starting.raise(&sidecars);
            }
            Role::Init => {
                let mut beside = sidecars.clone();
                beside.add(amounts);
                starting.raise(&beside);
            }
            // The API gives ephemeral containers no resources.
            Role::Ephemeral => {}
        }
    }
    running.raise(&starting);
    running
}

#[cfg(test)]
mod tests;
