//! The pods known now, ready for look-up by what a cgroup's path says.

use std::collections::HashMap;
use std::sync::Arc;

use super::model::{Node, Pod};
use crate::cgroup::{ContainerId, PodUid};
use crate::labels::Label;

/// A container that is known by its id alone: from the machine's own files, not from a pod's status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StandaloneContainer {
    /// What its runtime or its pod calls it.
    pub name: Arc<str>,
    /// The pod it belongs to; `None` when Kubernetes does not run it.
    pub pod: Option<PodUid>,
    /// Labels that its runtime has of it, already filtered, bounded, named and sorted by name.
    pub labels: Vec<Label>,
}

/// An immutable view; the watch publishes a new one after each change.
#[derive(Clone, Debug, Default)]
pub struct Index {
    pods: HashMap<PodUid, Arc<Pod>>,
    /// Static pods a second time, by the hash their cgroup carries.
    hashes: HashMap<PodUid, PodUid>,
    node: Option<Arc<Node>>,
    namespaces: HashMap<Arc<str>, Arc<[Label]>>,
    containers: HashMap<ContainerId, Arc<StandaloneContainer>>,
}

impl Index {
    /// Adds or replaces a pod.
    pub fn insert(&mut self, pod: Arc<Pod>) {
        self.remove(pod.uid);
        if let Some(hash) = pod.config_hash {
            self.hashes.insert(hash, pod.uid);
        }
        self.pods.insert(pod.uid, pod);
    }

    /// Takes a pod out.
    pub fn remove(&mut self, uid: PodUid) -> Option<Arc<Pod>> {
        let pod = self.pods.remove(&uid)?;
        // A static pod's new mirror keeps the hash of the old one: only its own entry goes.
        if let Some(hash) = pod.config_hash
            && self.hashes.get(&hash) == Some(&uid)
        {
            self.hashes.remove(&hash);
        }
        Some(pod)
    }

    /// Puts these pods in place of all that were there, as after a complete list.
    pub fn replace(&mut self, pods: impl IntoIterator<Item = Arc<Pod>>) {
        self.pods.clear();
        self.hashes.clear();
        pods.into_iter().for_each(|pod| self.insert(pod));
    }

    /// The pod that a cgroup's path names.
    #[must_use]
    pub fn pod(&self, uid: PodUid) -> Option<&Arc<Pod>> {
        self.pods.get(&uid).or_else(|| self.pods.get(self.hashes.get(&uid)?))
    }

    /// A container that the machine's own files name; empty where an API server tells more.
    #[must_use]
    pub fn container(&self, id: &ContainerId) -> Option<&Arc<StandaloneContainer>> {
        self.containers.get(id)
    }

    /// Puts these containers in place of all that were there.
    pub fn replace_containers(
        &mut self,
        containers: HashMap<ContainerId, Arc<StandaloneContainer>>,
    ) {
        self.containers = containers;
    }

    /// All pods, in no particular order.
    #[must_use]
    pub fn pods(&self) -> impl ExactSizeIterator<Item = &Arc<Pod>> {
        self.pods.values()
    }

    /// This node, once it is known.
    #[must_use]
    pub fn node(&self) -> Option<&Arc<Node>> {
        self.node.as_ref()
    }

    /// Replaces the node.
    pub fn set_node(&mut self, node: Option<Arc<Node>>) {
        self.node = node;
    }

    /// Labels of a namespace that go on its pods' series; empty unless they are asked for.
    #[must_use]
    pub fn namespace_labels(&self, namespace: &str) -> &[Label] {
        self.namespaces.get(namespace).map_or(&[], |labels| labels)
    }

    /// Puts these namespaces' labels in place of all that were there.
    pub fn replace_namespaces(&mut self, namespaces: HashMap<Arc<str>, Arc<[Label]>>) {
        self.namespaces = namespaces;
    }

    /// Replaces a namespace's labels.
    pub fn set_namespace(&mut self, namespace: Arc<str>, labels: Option<Arc<[Label]>>) {
        match labels {
            Some(labels) => self.namespaces.insert(namespace, labels),
            None => self.namespaces.remove(&namespace),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::model::Workload;

    fn pod(uid: u128, hash: Option<u128>) -> Arc<Pod> {
        let hash = hash.map(PodUid::ConfigHash);
        Arc::new(Pod {
            config_hash: hash,
            ..Pod::bare(PodUid::Uid(uid), "shop".into(), "web".into(), Workload::default())
        })
    }

    #[test]
    fn static_pod_is_found_by_its_hash_until_its_last_mirror_goes() {
        let mut index = Index::default();
        index.insert(pod(1, Some(7)));
        index.insert(pod(2, Some(7)));
        index.remove(PodUid::Uid(1));
        assert_eq!(index.pod(PodUid::ConfigHash(7)).unwrap().uid, PodUid::Uid(2));
        index.remove(PodUid::Uid(2));
        assert!(index.pod(PodUid::ConfigHash(7)).is_none());
    }

    #[test]
    fn replaced_pods_leave_nothing_behind() {
        let mut index = Index::default();
        index.insert(pod(1, Some(7)));
        index.replace([pod(2, None)]);
        assert_eq!(index.pods().len(), 1);
        assert!(index.pod(PodUid::Uid(1)).is_none() && index.pod(PodUid::ConfigHash(7)).is_none());
    }
}
