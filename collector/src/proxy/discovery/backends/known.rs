//! What the feeds have said of a Service so far.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::api::feed::Change;
use crate::api::health::Skipped;
use crate::api::lax::{List, Map};
use crate::api::object::Metadata;
use crate::pods::labels::Rules;
use crate::proxy::discovery::name::Name;
use crate::proxy::discovery::object::{
    EndpointsObject, PodObject, ServiceObject, ServicePort, ServiceSpec, SliceObject,
};
use crate::proxy::discovery::place::{self, Slice};
use crate::proxy::discovery::pod::{self, Pod};
use crate::proxy::service::Port;

/// Pods of one Service that are kept.
const MAX_PODS: usize = 4_096;
/// Slices of one Service that are kept; the API fills them with 100 endpoints each.
const MAX_SLICES: usize = 256;
/// Deleted pods of one Service that are remembered.
const MAX_GONE: usize = 256;

/// Everything known of a Service.
pub(in crate::proxy::discovery) struct Known {
    pub(super) name: Name,
    pub(super) spec: Said,
    /// By the objects' names; `None` until the server has spoken.
    pub(super) slices: Option<BTreeMap<Arc<str>, Vec<Slice>>>,
    pub(super) pods: HashMap<Arc<str>, Pod>,
    pub(super) gone: Gone,
}

/// What the server has said of the Service itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing so far.
    #[default]
    Nothing,
    /// That it is not there.
    Absent,
    Present(Spec),
}

impl From<Option<Spec>> for Said {
    fn from(spec: Option<Spec>) -> Self {
        spec.map_or(Self::Absent, Self::Present)
    }
}

/// What is kept of the Service itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) is_external: bool,
    pub(super) prefers_v6: bool,
    ports: Vec<Exposed>,
    /// Ready to be asked with; `None` for a Service without one.
    selector: Option<Arc<str>>,
}

/// A port of the Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exposed {
    /// Empty for the only one.
    pub(super) name: Arc<str>,
    number: u16,
    /// The pods' port, where it is written as a number or not at all.
    pub(super) target: Option<u16>,
    pub(super) app: Option<Arc<str>>,
}

impl Known {
    pub(in crate::proxy::discovery) fn new(name: Name) -> Self {
        Self {
            name,
            spec: Said::Nothing,
            slices: None,
            pods: HashMap::new(),
            gone: Gone::default(),
        }
    }

    /// The selector of its pods, once it is known to have one.
    pub(in crate::proxy::discovery) fn selector(&self) -> Option<&Arc<str>> {
        match &self.spec {
            Said::Present(spec) => spec.selector.as_ref(),
            Said::Nothing | Said::Absent => None,
        }
    }

    pub(in crate::proxy::discovery) fn services(&mut self, changes: Vec<Change<ServiceObject>>) {
        let before = self.selector().cloned();
        for change in changes {
            let object = match change {
                Change::All(objects) => {
                    objects.into_iter().find(|object| self.is(object.metadata.0.as_ref()))
                }
                Change::Applied(object) if self.is(object.metadata.0.as_ref()) => Some(object),
                Change::Deleted(object) if self.is(object.metadata.0.as_ref()) => None,
                Change::Applied(_) | Change::Deleted(_) => continue,
            };
            self.spec = object.map(read).into();
        }
        if self.selector() != before.as_ref() {
            // They are asked for anew; those that are pods of this Service still are known again at once.
            self.pods.clear();
            self.gone = Gone::default();
        }
    }

    fn is(&self, metadata: Option<&Metadata>) -> bool {
        metadata.is_some_and(|metadata| metadata.name.is(&self.name.name))
    }

    pub(in crate::proxy::discovery) fn slices(&mut self, changes: Vec<Change<SliceObject>>) {
        let name = |object: &SliceObject| object.metadata.0.as_ref()?.name.0.clone();
        for change in changes {
            match change {
                Change::All(objects) => {
                    let slices = objects
                        .into_iter()
                        .filter_map(|object| Some((name(&object)?, vec![place::of_slice(object)])));
                    self.slices = Some(slices.take(MAX_SLICES).collect());
                }
                Change::Applied(object) => {
                    let slices = self.slices.get_or_insert_default();
                    if let Some(name) = name(&object)
                        && (slices.len() < MAX_SLICES || slices.contains_key(&name))
                    {
                        slices.insert(name, vec![place::of_slice(object)]);
                    }
                }
                Change::Deleted(object) => {
                    if let Some((slices, name)) = self.slices.as_mut().zip(name(&object)) {
                        slices.remove(&name);
                    }
                }
            }
        }
    }

    pub(in crate::proxy::discovery) fn endpoints(&mut self, changes: Vec<Change<EndpointsObject>>) {
        for change in changes {
            let object = match change {
                Change::All(objects) => {
                    objects.into_iter().find(|object| self.is(object.metadata.0.as_ref()))
                }
                Change::Applied(object) if self.is(object.metadata.0.as_ref()) => Some(object),
                Change::Deleted(object) if self.is(object.metadata.0.as_ref()) => None,
                Change::Applied(_) | Change::Deleted(_) => continue,
            };
            let slices = object.map(place::of_endpoints).unwrap_or_default();
            self.slices = Some(BTreeMap::from([(self.name.name.clone(), slices)]));
        }
    }

    /// Takes what is said of its pods; what cannot be used is counted by `skip`.
    pub(in crate::proxy::discovery) fn pods(
        &mut self,
        changes: Vec<Change<PodObject>>,
        rules: &Rules,
        mut skip: impl FnMut(Skipped),
    ) {
        for change in changes {
            match change {
                Change::All(objects) => {
                    let mut before = std::mem::take(&mut self.pods);
                    for object in objects {
                        match pod::read(object, rules) {
                            Ok(pod) => self.insert(pod, &mut skip),
                            Err(reason) => skip(reason),
                        }
                    }
                    // Beyond the bound a pod may be absent here and be there all the same.
                    let is_whole = self.pods.len() < MAX_PODS;
                    before.retain(|name, pod| {
                        is_whole && self.pods.get(name).is_none_or(|now| now.uid != pod.uid)
                    });
                    for pod in before.into_values() {
                        self.gone.remember(pod.uid);
                    }
                }
                Change::Applied(object) => match pod::read(object, rules) {
                    Ok(pod) => self.insert(pod, &mut skip),
                    Err(reason) => skip(reason),
                },
                Change::Deleted(object) => {
                    let metadata = object.metadata.into_inner();
                    if let (Some(uid), Some(name)) = (metadata.uid.0, metadata.name.0) {
                        if self.pods.get(&name).is_some_and(|pod| pod.uid == uid) {
                            self.pods.remove(&name);
                        }
                        self.gone.remember(uid);
                    }
                }
            }
        }
    }

    fn insert(&mut self, pod: Pod, skip: &mut impl FnMut(Skipped)) {
        // A label that was taken away makes the server say "deleted", and one that is put back "added".
        self.gone.forget(&pod.uid);
        if self.pods.len() >= MAX_PODS && !self.pods.contains_key(&pod.name) {
            return skip(Skipped::Bounded);
        }
        self.pods.insert(pod.name.clone(), pod);
    }

    pub(super) fn pod(&self, name: &str, uid: &str) -> Option<&Pod> {
        self.pods.get(name).filter(|pod| *pod.uid == *uid)
    }
}

fn read(object: ServiceObject) -> Spec {
    let spec: ServiceSpec = object.spec.into_inner();
    Spec {
        is_external: spec.kind.is("ExternalName"),
        prefers_v6: spec.ip_families.0.first().is_some_and(|family| &**family == "IPv6"),
        ports: exposed(&spec.ports),
        selector: selector(&spec.selector),
    }
}

impl Spec {
    pub(super) fn port(&self, port: &Port) -> Option<&Exposed> {
        self.ports.iter().find(|exposed| match port {
            Port::Number(number) => exposed.number == *number,
            Port::Name(name) => exposed.name == *name,
        })
    }
}

fn exposed(list: &List<ServicePort>) -> Vec<Exposed> {
    let tcp = list.0.iter().filter(|port| matches!(port.protocol.as_str(), "TCP" | ""));
    tcp.filter_map(|port| {
        let number = place::number(port.port)?;
        let target = match port.target_port.as_str() {
            "" => Some(number),
            text => text.parse().ok().filter(|target| *target > 0),
        };
        Some(Exposed {
            name: port.name.0.clone().unwrap_or_default(),
            number,
            target,
            app: port.app_protocol.0.clone(),
        })
    })
    .collect()
}

/// `a=b,c=d`, in the order of the keys. What could widen it makes it none: the pods then go by their names alone.
fn selector(map: &Map) -> Option<Arc<str>> {
    let is_legal = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
    };
    if map.entries.is_empty()
        || map.more > 0
        || !map.entries.iter().all(|(key, value)| is_legal(key) && is_legal(value))
    {
        return None;
    }
    let mut terms: Vec<_> =
        map.entries.iter().map(|(key, value)| format!("{key}={value}")).collect();
    terms.sort();
    Some(terms.join(",").into())
}

/// Uids of pods that were deleted: a slice that still names one is older than that.
#[derive(Default)]
pub(super) struct Gone {
    uids: HashSet<Arc<str>>,
    order: VecDeque<Arc<str>>,
}

impl Gone {
    pub(super) fn has(&self, uid: &str) -> bool {
        self.uids.contains(uid)
    }

    fn remember(&mut self, uid: Arc<str>) {
        if self.uids.insert(uid.clone()) {
            self.order.push_back(uid);
        }
        while self.order.len() > MAX_GONE {
            if let Some(oldest) = self.order.pop_front() {
                self.uids.remove(&oldest);
            }
        }
    }

    fn forget(&mut self, uid: &str) {
        if self.uids.remove(uid) {
            self.order.retain(|gone| **gone != *uid);
        }
    }
}
