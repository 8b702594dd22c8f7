//! What is known, changed by each feed and published as one immutable index.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch::Sender;

use super::Settings;
use crate::api::feed::Change;
use crate::api::health::Health;
use crate::api::health::Skipped;
use crate::api::object::MetadataObject;
use crate::cgroup::PodUid;
use crate::pods::index::Index;
use crate::pods::model::Pod;
use crate::pods::object::{NodeObject, PodObject};
use crate::pods::prune;

/// Most pods of one node that are kept; Kubernetes is tested with 110, some run 500.
const MAX_PODS: usize = 4_096;
/// Most deleted pods that are remembered.
const MAX_GONE: usize = 1_024;

/// What is known, and where it is published.
pub(super) struct View {
    known: Mutex<Known>,
    sender: Sender<Arc<Index>>,
    health: Arc<Health>,
}

#[derive(Default)]
struct Known {
    index: Index,
    gone: Gone,
}

impl View {
    pub(super) fn new(sender: Sender<Arc<Index>>, health: Arc<Health>) -> Self {
        Self { known: Mutex::default(), sender, health }
    }

    pub(super) fn pods(&self, changes: Vec<Change<PodObject>>, settings: &Settings) {
        let mut known = self.lock();
        let mut is_new = false;
        for change in changes {
            is_new |= match change {
                Change::All(objects) => {
                    let pods: Vec<_> = objects
                        .into_iter()
                        .filter_map(|object| self.pruned(object, &known, settings))
                        .collect();
                    self.health.skip(Skipped::Bounded, pods.len().saturating_sub(MAX_PODS) as u64);
                    known.index.replace(pods.into_iter().take(MAX_PODS));
                    true
                }
                Change::Applied(object) => self.applied(object, &mut known, settings),
                Change::Deleted(object) => self.deleted(object, &mut known),
            };
        }
        if is_new {
            self.publish(&known);
        }
    }

    fn applied(&self, object: PodObject, known: &mut Known, settings: &Settings) -> bool {
        let Some(pod) = self.pruned(object, known, settings) else {
            return false;
        };
        let before = known.index.pod(pod.uid).filter(|before| before.uid == pod.uid);
        // A kubelet writes a pod's status more often than what we keep of it changes.
        if before.is_some_and(|before| Arc::ptr_eq(before, &pod)) {
            return false;
        }
        if before.is_none() && known.index.pods().len() >= MAX_PODS {
            self.health.skip(Skipped::Bounded, 1);
            return false;
        }
        known.index.insert(pod);
        true
    }

    fn deleted(&self, object: PodObject, known: &mut Known) -> bool {
        match prune::uid(&object.metadata.into_inner()) {
            Ok(uid) => {
                known.gone.remember(uid);
                known.index.remove(uid).is_some()
            }
            Err(reason) => {
                self.health.skip(reason, 1);
                false
            }
        }
    }

    /// What is kept of an object; the same allocation as before when nothing changed.
    fn pruned(&self, object: PodObject, known: &Known, settings: &Settings) -> Option<Arc<Pod>> {
        let pod = prune::pod(object, &settings.node, &settings.rules)
            .and_then(|pod| if known.gone.has(pod.uid) { Err(Skipped::Stale) } else { Ok(pod) });
        match pod {
            Ok(mut pod) => {
                let before = known.index.pod(pod.uid).filter(|before| before.uid == pod.uid);
                if let Some(before) = before {
                    pod.startup = before.startup.then(&pod);
                }
                match before {
                    Some(before) if **before == pod => Some(before.clone()),
                    _ => Some(Arc::new(pod)),
                }
            }
            Err(reason) => {
                self.health.skip(reason, 1);
                None
            }
        }
    }

    pub(super) fn node(&self, changes: Vec<Change<NodeObject>>, settings: &Settings) {
        let mut known = self.lock();
        for change in changes {
            let object = match change {
                Change::All(objects) => {
                    known.index.set_node(None);
                    objects.into_iter().find(|object| is_named(object, &settings.node))
                }
                Change::Applied(object) => {
                    Some(object).filter(|object| is_named(object, &settings.node))
                }
                Change::Deleted(object) => {
                    if is_named(&object, &settings.node) {
                        known.index.set_node(None);
                    }
                    None
                }
            };
            match object.map(prune::node) {
                Some(Ok(node)) => known.index.set_node(Some(Arc::new(node))),
                Some(Err(reason)) => self.health.skip(reason, 1),
                None => {}
            }
        }
        self.publish(&known);
    }

    pub(super) fn namespaces(&self, changes: Vec<Change<MetadataObject>>, settings: &Settings) {
        let mut known = self.lock();
        let labels = |object: MetadataObject| {
            let metadata = object.metadata.into_inner();
            let labels: Arc<[_]> = settings.rules.namespace(&metadata.labels).into();
            metadata.name.0.map(|name| (name, labels)).or_else(|| {
                self.health.skip(Skipped::NoName, 1);
                None
            })
        };
        for change in changes {
            match change {
                Change::All(objects) => {
                    let all: HashMap<_, _> = objects
                        .into_iter()
                        .filter_map(labels)
                        .filter(|(_, labels)| !labels.is_empty())
                        .collect();
                    known.index.replace_namespaces(all);
                }
                Change::Applied(object) => {
                    if let Some((name, labels)) = labels(object) {
                        known.index.set_namespace(name, (!labels.is_empty()).then_some(labels));
                    }
                }
                Change::Deleted(object) => {
                    if let Some((name, _)) = labels(object) {
                        known.index.set_namespace(name, None);
                    }
                }
            }
        }
        self.publish(&known);
    }

    fn publish(&self, known: &Known) {
        self.sender.send_replace(Arc::new(known.index.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_named(object: &NodeObject, name: &str) -> bool {
    object.metadata.0.as_ref().is_some_and(|metadata| metadata.name.is(name))
}

/// The uids of pods that were deleted. A uid never comes back, so an old state of one that a lagging
/// server sends again is known to be old.
#[derive(Default)]
struct Gone {
    uids: HashSet<PodUid>,
    order: VecDeque<PodUid>,
}

impl Gone {
    fn has(&self, uid: PodUid) -> bool {
        self.uids.contains(&uid)
    }

    fn remember(&mut self, uid: PodUid) {
        if self.uids.insert(uid) {
            self.order.push_back(uid);
        }
        while self.order.len() > MAX_GONE {
            if let Some(oldest) = self.order.pop_front() {
                self.uids.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_uids_are_remembered_up_to_the_bound() {
        let mut gone = Gone::default();
        for uid in 0..=MAX_GONE as u128 {
            gone.remember(PodUid::Uid(uid));
            gone.remember(PodUid::Uid(uid));
        }
        assert!(!gone.has(PodUid::Uid(0)), "the oldest makes room");
        assert!(gone.has(PodUid::Uid(1)) && gone.has(PodUid::Uid(MAX_GONE as u128)));
        assert_eq!(gone.uids.len(), MAX_GONE);
    }
}
