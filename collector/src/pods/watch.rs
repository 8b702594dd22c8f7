//! Keeps an [`Index`] of this node's pods, this node and, when asked, the namespaces' labels.
//!
//! Only objects that the field selector ties to this node are ever asked for, and only from the server's
//! cache; ReplicaSets and Jobs are not. What is known stays in force while the server is away or lists
//! again; a complete list replaces it in one step. How a single resource is followed is `feed`'s business.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::Client;
use tokio::sync::watch::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;

pub use super::feed::Pace;
use super::feed::{self, Change, Target};
use super::health::{Failure, Feed, Health};
use super::index::Index;
use super::labels::Rules;
use super::object::{MetadataObject, NodeObject, PodObject};
use super::prune::{self, Skipped};
use crate::cgroup::PodUid;

/// Most pods of one node that are kept; Kubernetes is tested with 110, some run 500.
const MAX_PODS: usize = 4_096;
/// Most deleted pods that are remembered.
const MAX_GONE: usize = 1_024;

/// What to watch.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node's name in the API.
    pub node: String,
    /// Which labels are kept, and so whether namespaces are watched.
    pub rules: Rules,
    /// How to come back after a failure.
    pub pace: Pace,
}

/// Why there is no watch, or no list.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node's name is empty or could not stand in a selector: check `NODE_NAME`.
    #[error("{0:?} is not the name of a node")]
    BadNode(String),
    /// A one-time list failed.
    #[error("{sentence}")]
    Refused {
        /// The closed kind.
        kind: Failure,
        /// What happened and the fix.
        sentence: String,
    },
    /// A one-time list did not end in time.
    #[error("the API server did not answer within {} s", .0.as_secs())]
    Late(Duration),
}

/// The watch, not yet running.
pub struct Watch {
    client: Client,
    settings: Settings,
    targets: Vec<Target>,
    health: Arc<Health>,
    view: View,
}

impl Watch {
    /// A watch, where it will publish, and how it is doing.
    ///
    /// The receiver holds an empty index until the first list; ask [`Health::is_synced`].
    ///
    /// # Errors
    /// When the node's name cannot stand in a selector.
    pub fn new(
        client: Client,
        settings: Settings,
    ) -> Result<(Self, Receiver<Arc<Index>>, Arc<Health>), Error> {
        let targets = targets(&settings)?;
        let health = Arc::new(Health::default());
        let (sender, receiver) = channel(Arc::new(Index::default()));
        let view = View { known: Mutex::default(), sender, health: health.clone() };
        Ok((Self { client, settings, targets, health: health.clone(), view }, receiver, health))
    }

    /// Follows the server until `stop`. No failure ends it.
    ///
    /// # Errors
    /// None today; the signature is every task's.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        let Self { client, settings, targets, health, view } = &self;
        let feed = |kind: Feed| {
            let target = targets.iter().find(|target| target.feed == kind)?.clone();
            Some(feed::Feed {
                client: client.clone(),
                target,
                pace: settings.pace,
                health: health.clone(),
            })
        };
        let pods = async {
            if let Some(feed) = feed(Feed::Pods) {
                feed.follow(|changes| view.pods(changes, settings)).await;
            }
        };
        let node = async {
            if let Some(feed) = feed(Feed::Node) {
                feed.follow(|changes| view.node(changes, settings)).await;
            }
        };
        let namespaces = async {
            if let Some(feed) = feed(Feed::Namespaces) {
                feed.follow(|changes| view.namespaces(changes, settings)).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            _ = async { tokio::join!(pods, node, namespaces) } => {}
        }
        Ok(())
    }
}

/// Lists everything once, within `wait`.
///
/// The pods must come; what else is refused is left out of the index and logged.
///
/// # Errors
/// When the node's name is none, or the pods do not come.
pub async fn list(client: &Client, settings: &Settings, wait: Duration) -> Result<Index, Error> {
    let (watch, receiver, _) = Watch::new(client.clone(), settings.clone())?;
    let all = async {
        for target in &watch.targets {
            let outcome = match target.feed {
                Feed::Pods => feed::list(client, target, "0")
                    .await
                    .map(|list| watch.view.pods(vec![Change::All(list.items)], settings)),
                Feed::Node => feed::list(client, target, "0")
                    .await
                    .map(|list| watch.view.node(vec![Change::All(list.items)], settings)),
                Feed::Namespaces => feed::list(client, target, "0")
                    .await
                    .map(|list| watch.view.namespaces(vec![Change::All(list.items)], settings)),
            };
            match outcome {
                Ok(()) => {}
                Err(fault) if target.feed == Feed::Pods => {
                    return Err(Error::Refused {
                        kind: fault.kind,
                        sentence: fault.sentence(target),
                    });
                }
                Err(fault) => {
                    tracing::warn!(resource = target.feed.as_str(), "{}", fault.sentence(target))
                }
            }
        }
        Ok(())
    };
    tokio::time::timeout(wait, all).await.map_err(|_| Error::Late(wait))??;
    let index = receiver.borrow().clone();
    Ok(Arc::unwrap_or_clone(index))
}

/// What a watch with these settings asks for.
pub(super) fn targets(settings: &Settings) -> Result<Vec<Target>, Error> {
    let node = &settings.node;
    // A name is a DNS subdomain; anything else could widen the selector.
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if node.is_empty() || node.len() > 253 || !node.bytes().all(is_name) {
        return Err(Error::BadNode(node.clone()));
    }
    let own = |feed, field: &str| Target {
        feed,
        fields: Some(format!("{field}={node}")),
        metadata_only: false,
    };
    let mut targets = vec![own(Feed::Pods, "spec.nodeName"), own(Feed::Node, "metadata.name")];
    if settings.rules.wants_namespaces() {
        targets.push(Target { feed: Feed::Namespaces, fields: None, metadata_only: true });
    }
    Ok(targets)
}

/// What is known, and where it is published.
struct View {
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
    fn pods(&self, changes: Vec<Change<PodObject>>, settings: &Settings) {
        let mut known = self.lock();
        let mut changed = false;
        for change in changes {
            changed |= match change {
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
        if changed {
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
    fn pruned(
        &self,
        object: PodObject,
        known: &Known,
        settings: &Settings,
    ) -> Option<Arc<super::model::Pod>> {
        let pod = prune::pod(object, &settings.node, &settings.rules)
            .and_then(|pod| if known.gone.has(pod.uid) { Err(Skipped::Stale) } else { Ok(pod) });
        match pod {
            Ok(pod) => match known.index.pod(pod.uid) {
                Some(before) if **before == pod => Some(before.clone()),
                _ => Some(Arc::new(pod)),
            },
            Err(reason) => {
                self.health.skip(reason, 1);
                None
            }
        }
    }

    fn node(&self, changes: Vec<Change<NodeObject>>, settings: &Settings) {
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

    fn namespaces(&self, changes: Vec<Change<MetadataObject>>, settings: &Settings) {
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

    fn settings(node: &str) -> Settings {
        let rules = Rules::new(&crate::pods::labels::Settings::default()).unwrap();
        Settings { node: node.to_owned(), rules, pace: Pace::default() }
    }

    #[test]
    fn name_that_could_widen_the_selector_is_refused() {
        for bad in ["", "a,spec.nodeName!=b", "a b", "a=b", &"x".repeat(254)] {
            assert!(matches!(targets(&settings(bad)), Err(Error::BadNode(_))), "{bad:?}");
        }
        assert_eq!(targets(&settings("ip-10-0-0-1.ec2.internal")).unwrap().len(), 2);
    }

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
