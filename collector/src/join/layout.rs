//! Which cgroup is which container of which pod: worked out anew only when pods or cgroups changed.
//!
//! No numbers here; [`super::emit`] puts them on the layout every tick.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::extras;
use super::oom::Oom;
use crate::cgroup::{Cgroup, ContainerId, PodUid, Scope};
use crate::diagnose::stuck::{Stuck, stuck};
use crate::labels::{Label, LabelSet, Origin};
use crate::pods::index::Index;
use crate::pods::labels::Names;
use crate::pods::model::{Amounts, Container, Pod, Role, State};
use crate::pods::resources;

/// Everything that has series, with the row of the reader that its numbers are in.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) pods: Vec<PodSlot>,
    pub(super) strays: Vec<Stray>,
    /// Pods that are not known at present although their cgroups are there: what was counted of them is
    /// taken up again when they are.
    pub(super) former: Vec<PodSlot>,
    pub(super) census: Census,
    /// Something is held back: look again next tick.
    pub(super) pending: bool,
}

/// A pod.
#[derive(Debug)]
pub(super) struct PodSlot {
    pub(super) pod: Arc<Pod>,
    pub(super) labels: Arc<LabelSet>,
    /// The labels of `kube_pod_info`.
    pub(super) info: Arc<LabelSet>,
    /// How its cgroup names it; differs from `pod.uid` for a static pod.
    pub(super) named: PodUid,
    pub(super) row: Option<usize>,
    pub(super) containers: Vec<ContainerSlot>,
    pub(super) request: Amounts,
    pub(super) limit: Amounts,
    /// That it waits for its containers, and why by its status.
    pub(super) stuck: Option<Stuck>,
}

/// A container of a known pod, in the order of [`Pod::containers`].
#[derive(Debug)]
pub(super) struct ContainerSlot {
    pub(super) labels: Arc<LabelSet>,
    pub(super) row: Option<usize>,
    pub(super) oom: Oom,
}

/// A cgroup without a known pod, or a container without a known name: it goes out under its ids.
#[derive(Debug)]
pub(super) struct Stray {
    pub(super) labels: Arc<LabelSet>,
    pub(super) row: usize,
    pub(super) is_pod: bool,
}

/// What became of the cgroups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    pub(super) labelled: u32,
    pub(super) unlabelled: u32,
    pub(super) held: u32,
    pub(super) sandbox: u32,
    pub(super) superseded: u32,
    pub(super) foreign: u32,
}

/// What a layout is made from.
pub(super) struct Plan<'a> {
    pub(super) config: &'a super::Config,
    pub(super) index: &'a Index,
    pub(super) rows: &'a [Cgroup],
    /// For each row: whether its time to wait for metadata is over.
    pub(super) waited: &'a [bool],
}

impl Plan<'_> {
    /// Works out the layout; what `old` already rendered is taken over where names did not change.
    pub(super) fn layout(&self, old: Layout) -> Layout {
        let mut kept: HashMap<PodUid, PodSlot> =
            old.former.into_iter().chain(old.pods).map(|slot| (slot.pod.uid, slot)).collect();
        let present: HashSet<PodUid> = self.rows.iter().filter_map(|row| row.scope.pod()).collect();
        let is_present = |pod: &Pod| {
            present.contains(&pod.uid)
                || pod.config_hash.is_some_and(|hash| present.contains(&hash))
        };
        let mut pods: Vec<&Arc<Pod>> = self.index.pods().collect();
        // Newest first among pods of one name: a name that is taken again belongs to the new pod alone.
        // Where nobody tells their age, the one that has cgroups is it.
        pods.sort_by_cached_key(|pod| {
            let rank = Reverse((pod.created, is_present(pod), pod.uid));
            (pod.namespace.clone(), pod.name.clone(), rank)
        });
        pods.dedup_by(|later, first| {
            later.namespace == first.namespace && later.name == first.name
        });
        let mut layout = Layout {
            pods: pods.into_iter().map(|pod| self.slot(pod, kept.remove(&pod.uid))).collect(),
            ..Layout::default()
        };
        layout.former = kept.into_values().filter(|slot| is_present(&slot.pod)).collect();

        let mut unnamed: HashMap<usize, Vec<usize>> = HashMap::new();
        let by_uid: HashMap<PodUid, usize> =
            layout.pods.iter().enumerate().map(|(at, slot)| (slot.pod.uid, at)).collect();
        let named_by = container_ids(&layout.pods);
        for (at, row) in self.rows.iter().enumerate() {
            match &row.scope {
                Scope::Pod(uid) => {
                    match self.index.pod(*uid).and_then(|pod| by_uid.get(&pod.uid)) {
                        Some(slot) => {
                            layout.pods[*slot].row = Some(at);
                            layout.pods[*slot].named = *uid;
                            layout.census.labelled += 1;
                        }
                        None => self.orphan(&mut layout, at, Some(*uid)),
                    }
                }
                Scope::Container { pod, id } => {
                    let owner = pod
                        .and_then(|uid| self.index.pod(uid))
                        .and_then(|pod| by_uid.get(&pod.uid));
                    match (named_by.get(id), owner) {
                        (Some(Known::Current(slot, container)), _) => {
                            layout.pods[*slot].containers[*container].row = Some(at);
                            layout.census.labelled += 1;
                        }
                        (Some(Known::Former), _) => layout.census.superseded += 1,
                        (None, Some(slot)) => unnamed.entry(*slot).or_default().push(at),
                        (None, None) => self.orphan(&mut layout, at, *pod),
                    }
                }
            }
        }
        for (slot, rows) in unnamed {
            self.guess(&mut layout, slot, rows);
        }
        layout
    }

    fn slot(&self, pod: &Arc<Pod>, old: Option<PodSlot>) -> PodSlot {
        let spaces = self.index.namespace_labels(&pod.namespace);
        let (labels, mut named) = match old {
            Some(old) => {
                let ours = old.labels.labels().iter();
                let ours = ours.filter(|label| label.origin == Origin::NamespaceLabel);
                let same = same_names(&old.pod, pod) && ours.eq(spaces);
                let names = old.pod.containers.iter().map(|container| container.name.clone());
                let slots =
                    old.containers.into_iter().map(|slot| (same.then_some(slot.labels), slot.oom));
                (same.then_some(old.labels), names.zip(slots).collect::<HashMap<_, _>>())
            }
            None => (None, HashMap::new()),
        };
        let containers = pod.containers.iter().map(|container| {
            let (labels, oom) = named.remove(&container.name).unwrap_or_default();
            let labels = labels
                .unwrap_or_else(|| self.labels(pod, Some(("container", &container.name)), spaces));
            ContainerSlot { labels, row: None, oom }
        });
        PodSlot {
            containers: containers.collect(),
            labels: labels.unwrap_or_else(|| self.labels(pod, None, spaces)),
            info: info(pod),
            named: pod.uid,
            row: None,
            request: resources::pod_request(pod),
            limit: resources::pod_limit(pod),
            stuck: stuck(pod),
            pod: pod.clone(),
        }
    }

    /// The labels of a pod's or container's series.
    fn labels(
        &self,
        pod: &Pod,
        container: Option<(&str, &str)>,
        spaces: &[Label],
    ) -> Arc<LabelSet> {
        Names {
            namespace: &pod.namespace,
            pod: &pod.name,
            container,
            node: &self.config.node,
            workload: &pod.workload,
        }
        .with(pod.labels.iter().chain(spaces))
    }

    /// Names the cgroups of a known pod that no status names yet.
    ///
    /// The sandbox is the first thing made in a pod and never in a status: the unnamed cgroup that is
    /// older than every other of the pod is it. Of what is left, one cgroup and one container that should
    /// be running belong together, whether or not the API server can be asked.
    fn guess(&self, layout: &mut Layout, slot: usize, mut rows: Vec<usize>) {
        rows.sort_by_key(|row| self.rows[*row].inode);
        let inode = |row: usize| self.rows[row].inode;
        let oldest_named = layout.pods[slot]
            .containers
            .iter()
            .filter_map(|container| container.row)
            .map(inode)
            .min();
        if oldest_named.is_none_or(|oldest| inode(rows[0]) < oldest) {
            rows.remove(0);
            layout.census.sandbox += 1;
        }
        let pod = layout.pods[slot].pod.clone();
        let taken: Vec<bool> =
            layout.pods[slot].containers.iter().map(|container| container.row.is_some()).collect();
        let mut expected = expected(&pod).filter(|at| !taken[*at]);
        match (rows.as_slice(), expected.next(), expected.next()) {
            ([row], Some(container), None) => {
                layout.pods[slot].containers[container].row = Some(*row);
                layout.census.labelled += 1;
            }
            _ => rows.into_iter().for_each(|row| self.stray(layout, row, Some(slot))),
        }
    }

    /// A cgroup of no pod in the layout: one that is not known, or one whose name a newer pod has.
    fn orphan(&self, layout: &mut Layout, row: usize, uid: Option<PodUid>) {
        match uid.and_then(|uid| self.index.pod(uid)) {
            Some(_) => layout.census.superseded += 1,
            None => self.stray(layout, row, None),
        }
    }

    /// A cgroup that cannot be named: held while metadata may be on its way, then sent under its ids.
    fn stray(&self, layout: &mut Layout, row: usize, pod: Option<usize>) {
        let scope = &self.rows[row].scope;
        if let Scope::Container { pod: None, id } = scope {
            layout.census.foreign += 1;
            if self.config.foreign {
                let labels = self.foreign(id);
                layout.strays.push(Stray { labels, row, is_pod: false });
            }
            return;
        }
        if !self.waited[row] {
            layout.census.held += 1;
            layout.pending = true;
            return;
        }
        let labels = match (scope, pod) {
            (Scope::Container { id, .. }, Some(slot)) => {
                let pod = layout.pods[slot].pod.clone();
                self.labels(
                    &pod,
                    Some(("container_id", id.short())),
                    self.index.namespace_labels(&pod.namespace),
                )
            }
            (Scope::Container { pod: uid, id }, None) => {
                let uid = uid.map(|uid| uid.to_string()).unwrap_or_default();
                extras::set(&[
                    ("uid", &uid),
                    ("container_id", id.short()),
                    ("node", &self.config.node),
                ])
            }
            (Scope::Pod(uid), _) => {
                extras::set(&[("uid", &uid.to_string()), ("node", &self.config.node)])
            }
        };
        layout.census.unlabelled += 1;
        layout.strays.push(Stray { labels, row, is_pod: matches!(scope, Scope::Pod(_)) });
    }

    /// A container that Kubernetes does not run: the name the runtime's own files give it.
    fn foreign(&self, id: &ContainerId) -> Arc<LabelSet> {
        let mut labels = vec![
            Label::own("container", id.short()),
            Label::own("container_id", id.short()),
            Label::own("node", self.config.node.clone()),
        ];
        if let Some(known) = self.index.container(id) {
            labels[0] = Label::own("container", known.name.clone());
            labels.extend(known.labels.iter().cloned());
        }
        Arc::new(LabelSet::new(labels))
    }
}

/// What an id in a status stands for.
enum Known {
    Current(usize, usize),
    /// An incarnation that was replaced: its cgroup lingers for a moment.
    Former,
}

fn container_ids(pods: &[PodSlot]) -> HashMap<ContainerId, Known> {
    let mut ids = HashMap::new();
    for (at, slot) in pods.iter().enumerate() {
        for (number, container) in slot.pod.containers.iter().enumerate() {
            let Some(status) = &container.status else { continue };
            if let Some(id) = status.last.as_ref().and_then(|last| last.id.clone()) {
                ids.insert(id, Known::Former);
            }
            if let Some(id) = &status.id {
                ids.insert(id.clone(), Known::Current(at, number));
            }
        }
    }
    ids
}

/// Containers that may be running now: init containers one after another, then the regular ones.
fn expected(pod: &Pod) -> impl Iterator<Item = usize> + '_ {
    let ended = |container: &Container| {
        matches!(container.status.as_ref().map(|status| &status.state), Some(State::Terminated(_)))
    };
    let init = pod
        .containers
        .iter()
        .position(|container| container.role == Role::Init && !ended(container));
    pod.containers.iter().enumerate().filter_map(move |(at, container)| {
        let due = match (init, container.role) {
            (Some(init), Role::Init) => at == init,
            (Some(init), Role::Sidecar) => at < init,
            (Some(_), Role::Regular) | (None, Role::Init) => false,
            _ => !ended(container),
        };
        due.then_some(at)
    })
}

/// Whether both have the same labels on their series.
fn same_names(a: &Pod, b: &Pod) -> bool {
    a.name == b.name
        && a.namespace == b.namespace
        && a.workload == b.workload
        && a.labels == b.labels
}

fn info(pod: &Pod) -> Arc<LabelSet> {
    let or_empty = |text: &Option<Arc<str>>| text.clone().unwrap_or_default();
    let owner = pod.owner.clone().unwrap_or_default();
    let labels = vec![
        Label::own("uid", pod.uid.to_string()),
        Label::own("pod_ip", or_empty(&pod.ip)),
        Label::own("host_ip", or_empty(&pod.host_ip)),
        Label::own("created_by_kind", owner.kind),
        Label::own("created_by_name", owner.name),
        Label::own("priority_class", or_empty(&pod.priority_class)),
        Label::own("host_network", if pod.host_network { "true" } else { "false" }),
    ];
    Arc::new(LabelSet::new(labels))
}
