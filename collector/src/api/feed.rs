//! One resource, listed and then watched, for ever.
//!
//! In words: *list* from the server's cache; go on from the version it names with a *watch*; when that ends,
//! watch again from the last version seen. A version that is too old (410, as a status or as an event),
//! failures in a row, and an hour gone by each lead back to the list. Every failure waits with a growing,
//! jittered pause, and at least as long as the server asks for.
//!
//! kube carries the requests; the loop is ours because kube's watcher goes on for ever with a version that
//! was refused with a status of 410, opens a watch that ends at once again without a pause, and
//! drops `Retry-After` together with the other headers.

mod fault;
mod pace;
mod position;
mod request;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::time::Instant;

pub(crate) use fault::Fault;
pub(crate) use pace::Backoff;
pub use pace::Pace;
use position::Position;
pub(crate) use request::{Target, exchange, is_name, list, try_list, try_watch};
use wire::{Lines, Sent};

use super::health::{Event, Follower, Health, Skipped};
use super::object::Object;

/// A watch that lived this long was of use, even if nothing happened meanwhile.
const USEFUL: Duration = Duration::from_secs(5);

/// What changed.
#[derive(Debug)]
pub(crate) enum Change<K> {
    /// These are all objects there are.
    All(Vec<K>),
    Applied(K),
    Deleted(K),
}

/// Follows one target and tells each change.
pub(crate) struct Feed {
    pub(crate) client: Client,
    pub(crate) target: Target,
    pub(crate) pace: Pace,
    pub(crate) health: Arc<Health>,
}

/// How a round ended that did not fail.
enum Round {
    Listed,
    /// The server ended a watch that had been of use.
    Served,
    /// The server ended a watch at once.
    Barren,
}

impl Feed {
    /// Never returns; drop it to stop. `tell` must not block.
    pub(crate) async fn follow<K: Object>(&self, mut tell: impl FnMut(Vec<Change<K>>) + Send) {
        let mut position = Position::default();
        let mut backoff = Backoff::new(self.pace);
        let mut follower = self.health.follow(self.target.feed);
        loop {
            let round = match position.version() {
                None => self.list_round(&mut position, &mut follower, &mut tell).await,
                Some(_) => self.watch_round(&mut position, &mut follower, &mut tell).await,
            };
            let pause = match round {
                Ok(Round::Listed) => continue,
                Ok(Round::Served) => {
                    backoff.reset();
                    backoff.next(None)
                }
                Ok(Round::Barren) => backoff.next(None),
                Err(fault) => {
                    position.failed(&fault);
                    follower.failed(fault.kind, fault.sentence(&self.target));
                    backoff.next(fault.retry_after)
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn list_round<K: Object>(
        &self,
        position: &mut Position,
        follower: &mut Follower,
        tell: &mut impl FnMut(Vec<Change<K>>),
    ) -> Result<Round, Fault> {
        let list = request::list::<K>(&self.client, &self.target, position.list_from()).await?;
        follower.contact();
        follower.count(Event::Relisted);
        follower.skip(Skipped::Bounded, list.more.into());
        position.listed(&list.version);
        tell(vec![Change::All(list.items)]);
        follower.synced();
        Ok(Round::Listed)
    }

    async fn watch_round<K: Object>(
        &self,
        position: &mut Position,
        follower: &mut Follower,
        tell: &mut impl FnMut(Vec<Change<K>>),
    ) -> Result<Round, Fault> {
        let opened = Instant::now();
        let version = position.version().unwrap_or_default();
        let (mut lines, seconds) = request::watch(&self.client, &self.target, version).await?;
        follower.contact();
        follower.connected();
        let heard = hear(&mut lines, position, follower, tell).await;
        follower.disconnected();
        let was_useful = heard? || opened.elapsed() >= USEFUL.min(seconds);
        position.ended(was_useful);
        Ok(if was_useful { Round::Served } else { Round::Barren })
    }
}

/// Tells the changes of one watch until it ends; whether there was anything.
async fn hear<K: Object>(
    lines: &mut Lines,
    position: &mut Position,
    follower: &Follower,
    tell: &mut impl FnMut(Vec<Change<K>>),
) -> Result<bool, Fault> {
    let mut heard = false;
    while let Some(batch) = lines.next().await? {
        follower.contact();
        let mut changes = Vec::new();
        let mut fault = None;
        for line in batch {
            match wire::read::<K>(&line) {
                Ok(sent) => changes.extend(understood(sent, position, follower)),
                Err(error) => {
                    fault = Some(error);
                    break;
                }
            }
            heard = true;
        }
        if !changes.is_empty() {
            tell(changes);
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
        position.worked();
    }
    Ok(heard)
}

fn understood<K: Object>(
    sent: Sent<K>,
    position: &mut Position,
    follower: &Follower,
) -> Option<Change<K>> {
    let (event, change) = match sent {
        Sent::Bookmark(object) => {
            position.saw(object.version());
            return None;
        }
        Sent::Unknown => return None,
        Sent::Applied(object) => (Event::Applied, Change::Applied(object)),
        Sent::Deleted(object) => (Event::Deleted, Change::Deleted(object)),
    };
    if let Change::Applied(object) | Change::Deleted(object) = &change {
        position.saw(object.version());
    }
    follower.count(event);
    Some(change)
}
