//! Keeps an [`Index`] of this node's pods, this node and, when asked, the namespaces' labels.
//!
//! Only objects that the field selector ties to this node are ever asked for, and only from the server's
//! cache; ReplicaSets and Jobs are not. What is known stays in force while the server is away or lists
//! again; a complete list replaces it in one step. How a single resource is followed is `feed`'s business.

mod view;

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::watch::{Receiver, channel};
use tokio_util::sync::CancellationToken;

use super::index::Index;
use super::labels::Rules;
pub use crate::api::feed::Pace;
use crate::api::feed::{self, Change, Target};
use crate::api::health::{Failure, Feed, Health};
use view::View;

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

/// Where the present index is always to be had, from a blocking thread too: `borrow().clone()`.
pub type Published = Receiver<Arc<Index>>;

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
    ) -> Result<(Self, Published, Arc<Health>), Error> {
        let targets = targets(&settings)?;
        let health = Arc::new(Health::default());
        let (sender, receiver) = channel(Arc::new(Index::default()));
        let view = View::new(sender, health.clone());
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
                _ => feed::list(client, target, "0")
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
                    tracing::warn!(resource = target.feed.as_str(), "{}", fault.sentence(target));
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
    if !feed::is_name(node) {
        return Err(Error::BadNode(node.clone()));
    }
    let own = |feed, field: &str| Target {
        feed,
        fields: Some(format!("{field}={node}")),
        ..Target::default()
    };
    let mut targets = vec![own(Feed::Pods, "spec.nodeName"), own(Feed::Node, "metadata.name")];
    if settings.rules.wants_namespaces() {
        targets.push(Target { feed: Feed::Namespaces, metadata_only: true, ..Target::default() });
    }
    Ok(targets)
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
}
