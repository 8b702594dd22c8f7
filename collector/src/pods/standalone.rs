//! Pods and containers by what the machine itself knows, where there is no API server.
//!
//! The kubelet's log directories name every pod and container it runs; the runtimes' own files name the
//! containers that Kubernetes does not. Neither has all that the API has: requests, limits, owners and most
//! labels are missing, and stay missing. Nothing is read while every cgroup is known.

mod logs;
mod runtime;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::index::{Index, StandaloneContainer};
use super::labels::Rules;
use super::model::{Amounts, Container, Cut, Phase, Pod, Resources, Role, Status, Workload};
use super::startup::Startup;
use crate::cgroup::{ContainerId, PodUid};

/// Containers, and entries of a directory, that are looked at.
const MAX: usize = 2_000;
/// Looks at the files for one unknown id; logs and configs appear within a tick or two of the cgroup.
const TRIES: u8 = 3;

/// What the machine's files say, kept between looks.
#[derive(Debug)]
pub struct Standalone {
    root: PathBuf,
    node: String,
    rules: Rules,
    index: Arc<Index>,
    /// Containers that a runtime's file has named.
    named: HashMap<ContainerId, Found>,
    /// Ids that no file names, with the looks so far.
    nameless: HashMap<Unknown, u8>,
}

/// A cgroup that the index has no name for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Unknown {
    /// A pod's.
    Pod(PodUid),
    /// A container's, in a pod or not.
    Container(ContainerId),
}

/// A container and, if it is Kubernetes' own, its pod.
#[derive(Clone, Debug)]
struct Found {
    container: Option<Arc<StandaloneContainer>>,
    pod: Option<Arc<Pod>>,
}

impl Standalone {
    /// Looks below `root`, which is `/` or where the host is mounted. `node` is the host's name, which ends
    /// the names of static pods. Reads nothing yet.
    #[must_use]
    pub fn open(root: &Path, node: &str, rules: Rules) -> Self {
        Self {
            root: root.to_owned(),
            node: node.to_owned(),
            rules,
            index: Arc::default(),
            named: HashMap::new(),
            nameless: HashMap::new(),
        }
    }

    /// The index, after a look for what `unknown` names.
    ///
    /// Cheap to call at each tick: without an unknown id that is worth another look it reads no file and
    /// gives the same allocation as before.
    pub fn index(&mut self, unknown: &[Unknown]) -> Arc<Index> {
        let mut wanted = Vec::new();
        for id in unknown {
            let tries = self.nameless.get(id).copied().unwrap_or(0);
            let has_room = self.nameless.contains_key(id) || self.nameless.len() < 2 * MAX;
            if tries < TRIES && has_room {
                self.nameless.insert(id.clone(), tries + 1);
                wanted.push(id);
            }
        }
        if !wanted.is_empty() {
            self.look(&wanted);
            // Ids that no cgroup has any more need no memory; a look is when there is time for that.
            let unknown: HashSet<&Unknown> = unknown.iter().collect();
            self.nameless.retain(|id, _| unknown.contains(id));
        }
        self.index.clone()
    }

    fn look(&mut self, wanted: &[&Unknown]) {
        for id in wanted {
            if let Unknown::Container(id) = id
                && !self.named.contains_key(id)
                && self.named.len() < MAX
                && let Some(found) = runtime::find(&self.root, id, &self.rules)
            {
                self.named.insert(id.clone(), found);
            }
        }
        self.named.retain(|id, _| runtime::exists(&self.root, id));
        let mut index = Index::default();
        let mut containers = HashMap::new();
        for found in logs::pods(&self.root, &self.node) {
            containers.extend(found.containers);
            index.insert(Arc::new(found.pod));
        }
        for (id, found) in &self.named {
            if let Some(pod) = &found.pod {
                let mut pod = index.pod(pod.uid).map_or_else(
                    || (**pod).clone(),
                    |known| Pod { labels: pod.labels.clone(), ..(**known).clone() },
                );
                if let Some(container) = &found.container {
                    pod.put_container(&container.name, id);
                }
                index.insert(Arc::new(pod));
            }
            if let Some(container) = &found.container {
                containers.insert(id.clone(), container.clone());
            }
        }
        index.replace_containers(containers);
        self.index = Arc::new(index);
    }
}

impl Pod {
    /// A pod of which nothing but its identity is known.
    pub(super) fn bare(
        uid: PodUid,
        namespace: Arc<str>,
        name: Arc<str>,
        workload: Workload,
    ) -> Self {
        Self {
            uid,
            config_hash: None,
            namespace,
            name,
            workload,
            owner: None,
            labels: Vec::new(),
            cut: Cut::default(),
            host_network: false,
            ip: None,
            host_ip: None,
            priority_class: None,
            phase: Phase::Unknown,
            reason: None,
            qos: None,
            ready: None,
            ready_since: None,
            scheduled: None,
            created: None,
            started: None,
            deleted: None,
            containers: Vec::new(),
            resources: None,
            overhead: Amounts::default(),
            startup: Startup::default(),
            revision: None,
            claims: Vec::new(),
        }
    }

    /// Makes `id` the present container of this name.
    fn put_container(&mut self, name: &Arc<str>, id: &ContainerId) {
        let status = Some(Status { id: Some(id.clone()), ..Status::default() });
        if let Some(container) = self.containers.iter_mut().find(|one| one.name == *name) {
            container.status = status;
        } else {
            self.containers.push(Container {
                name: name.clone(),
                role: Role::Regular,
                resources: Resources::default(),
                status,
            });
        }
    }
}

#[cfg(test)]
mod tests;
