//! How the watches are doing: counters and states that anyone may read at any time.
//!
//! Written by the feeds, read by `/readyz`, by the own metrics and by the page. No reader waits for a
//! writer. Holds no text that a server sent, so no secret can leak from here into a log.

mod label;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tracing::{debug, info, warn};

pub use label::{Event, Failure, Feed, Skipped};

/// Shortest time between two warnings of one feed.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// The state of all feeds since the start.
#[derive(Debug)]
pub struct Health {
    since: Instant,
    feeds: [State; Feed::ALL.len()],
    failures: [AtomicU64; Failure::ALL.len()],
    skipped: [AtomicU64; Skipped::ALL.len()],
    /// Milliseconds after `since`, plus one; zero before the first.
    contact: AtomicU64,
}

/// Of all watches of one kind of object: there is one for the pods of this node, and one for each Service.
#[derive(Debug, Default)]
struct State {
    synced: AtomicBool,
    /// How many are followed, how many watches of these are open, and how many are in trouble.
    followed: AtomicU32,
    open: AtomicU32,
    ailing: AtomicU32,
    events: [AtomicU64; Event::ALL.len()],
    trouble: ArcSwapOption<String>,
    /// Milliseconds after `since` of the last warning, plus one.
    warned: AtomicU64,
    /// A warning was logged and no recovery since.
    alarmed: AtomicBool,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            feeds: Default::default(),
            failures: Default::default(),
            skipped: Default::default(),
            contact: AtomicU64::new(0),
        }
    }
}

impl Health {
    /// Whether a first complete list has come. Never false again after that.
    #[must_use]
    pub fn is_synced(&self, feed: Feed) -> bool {
        self.feeds[feed as usize].synced.load(Relaxed)
    }

    /// Whether the server is sending changes now, of all that is followed of this kind.
    #[must_use]
    pub fn is_connected(&self, feed: Feed) -> bool {
        let state = &self.feeds[feed as usize];
        let open = state.open.load(Relaxed);
        open > 0 && open >= state.followed.load(Relaxed)
    }

    /// Whether anything of this kind is followed now.
    #[must_use]
    pub fn is_followed(&self, feed: Feed) -> bool {
        self.feeds[feed as usize].followed.load(Relaxed) > 0
    }

    /// How long ago the server last answered or sent something; `None` before it ever did.
    ///
    /// A server with nothing to tell sends a bookmark about once a minute and ends a watch within
    /// five minutes, so a larger age means that the metadata may be old.
    #[must_use]
    pub fn since_contact(&self) -> Option<Duration> {
        let at = self.contact.load(Relaxed).checked_sub(1)?;
        Some(self.since.elapsed().saturating_sub(Duration::from_millis(at)))
    }

    /// Every feed and kind of event with its count.
    pub fn events(&self) -> impl Iterator<Item = (Feed, Event, u64)> + '_ {
        Feed::ALL.into_iter().flat_map(move |feed| {
            Event::ALL.into_iter().map(move |event| {
                (feed, event, self.feeds[feed as usize].events[event as usize].load(Relaxed))
            })
        })
    }

    /// Every kind of failure with its count, all feeds together.
    pub fn failures(&self) -> impl Iterator<Item = (Failure, u64)> + '_ {
        Failure::ALL.into_iter().map(|kind| (kind, self.failures[kind as usize].load(Relaxed)))
    }

    /// Every reason for leaving an object out with its count.
    pub fn skipped(&self) -> impl Iterator<Item = (Skipped, u64)> + '_ {
        Skipped::ALL.into_iter().map(|reason| (reason, self.skipped[reason as usize].load(Relaxed)))
    }

    /// What is wrong with a feed now and how to mend it, in one sentence; `None` when nothing is.
    #[must_use]
    pub fn trouble(&self, feed: Feed) -> Option<Arc<String>> {
        self.feeds[feed as usize].trouble.load_full()
    }

    /// Begins to follow something of this kind.
    pub(crate) fn follow(self: &Arc<Self>, feed: Feed) -> Follower {
        self.feeds[feed as usize].followed.fetch_add(1, Relaxed);
        Follower { health: self.clone(), feed, is_open: false, is_ailing: false }
    }

    pub(crate) fn skip(&self, reason: Skipped, number: u64) {
        self.skipped[reason as usize].fetch_add(number, Relaxed);
    }

    fn may_warn(&self, state: &State) -> bool {
        let now = self.now();
        let before = state.warned.load(Relaxed);
        let due = before == 0 || Duration::from_millis(now - before.min(now)) >= LOG_EVERY;
        if due {
            state.warned.store(now, Relaxed);
        }
        due
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }
}

/// One thing that is followed: tells how that goes, and takes it back when dropped.
#[derive(Debug)]
pub(crate) struct Follower {
    health: Arc<Health>,
    feed: Feed,
    is_open: bool,
    is_ailing: bool,
}

impl Follower {
    fn state(&self) -> &State {
        &self.health.feeds[self.feed as usize]
    }

    /// The server answered or sent something.
    pub(crate) fn contact(&self) {
        self.health.contact.store(self.health.now(), Relaxed);
    }

    pub(crate) fn count(&self, event: Event) {
        self.state().events[event as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn skip(&self, reason: Skipped, number: u64) {
        self.health.skip(reason, number);
    }

    /// A complete list is in force.
    pub(crate) fn synced(&mut self) {
        self.state().synced.store(true, Relaxed);
        self.recovered();
    }

    /// A watch is open.
    pub(crate) fn connected(&mut self) {
        if !std::mem::replace(&mut self.is_open, true) {
            self.state().open.fetch_add(1, Relaxed);
        }
        self.recovered();
    }

    /// The watch ended, whether or not that was a failure.
    pub(crate) fn disconnected(&mut self) {
        if std::mem::take(&mut self.is_open) {
            self.state().open.fetch_sub(1, Relaxed);
        }
    }

    /// Counts, remembers and, now and then, logs.
    pub(crate) fn failed(&mut self, kind: Failure, sentence: String) {
        self.health.failures[kind as usize].fetch_add(1, Relaxed);
        self.disconnected();
        if kind == Failure::Gone {
            debug!(resource = self.feed.as_str(), "{sentence}");
            return;
        }
        if !std::mem::replace(&mut self.is_ailing, true) {
            self.state().ailing.fetch_add(1, Relaxed);
        }
        let state = self.state();
        if self.health.may_warn(state) {
            warn!(resource = self.feed.as_str(), kind = kind.as_str(), "{sentence}");
            state.alarmed.store(true, Relaxed);
        }
        state.trouble.store(Some(Arc::new(sentence)));
    }

    /// The trouble of its kind is over when no other of it is left in one.
    fn recovered(&mut self) {
        let was_ailing = std::mem::take(&mut self.is_ailing);
        let state = self.state();
        if was_ailing && state.ailing.fetch_sub(1, Relaxed) == 1 {
            state.trouble.store(None);
            if state.alarmed.swap(false, Relaxed) {
                info!(resource = self.feed.as_str(), "the API server answers again");
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.disconnected();
        let state = self.state();
        state.followed.fetch_sub(1, Relaxed);
        if self.is_ailing && state.ailing.fetch_sub(1, Relaxed) == 1 {
            state.trouble.store(None);
            state.alarmed.store(false, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(feed: Feed) -> (Arc<Health>, Follower) {
        let health = Arc::new(Health::default());
        let follower = health.follow(feed);
        (health, follower)
    }

    #[test]
    fn trouble_lasts_until_the_server_answers_again() {
        let (health, mut pods) = followed(Feed::Pods);
        pods.failed(Failure::Forbidden, "no right".to_owned());
        assert_eq!(health.trouble(Feed::Pods).as_deref().map(String::as_str), Some("no right"));
        assert!(health.trouble(Feed::Node).is_none());

        pods.connected();
        assert!(health.trouble(Feed::Pods).is_none());
        assert!(health.is_connected(Feed::Pods) && !health.is_synced(Feed::Pods));
        assert_eq!(
            health.failures().find(|(kind, _)| *kind == Failure::Forbidden),
            Some((Failure::Forbidden, 1))
        );
    }

    #[test]
    fn one_of_several_that_recovers_does_not_end_the_trouble_of_another() {
        let (health, mut first) = followed(Feed::Secrets);
        let mut second = health.follow(Feed::Secrets);
        first.failed(Failure::Forbidden, "no right".to_owned());
        second.connected();
        assert!(health.trouble(Feed::Secrets).is_some());
        assert!(!health.is_connected(Feed::Secrets), "one of two is not open");

        drop(first);
        assert!(health.trouble(Feed::Secrets).is_none());
        assert!(health.is_connected(Feed::Secrets) && health.is_followed(Feed::Secrets));
        drop(second);
        assert!(!health.is_connected(Feed::Secrets) && !health.is_followed(Feed::Secrets));
    }

    #[test]
    fn gone_is_counted_and_is_no_trouble() {
        let (health, mut pods) = followed(Feed::Pods);
        pods.failed(Failure::Gone, "too old".to_owned());
        assert!(health.trouble(Feed::Pods).is_none());
        assert_eq!(health.failures().map(|(_, count)| count).sum::<u64>(), 1);
    }

    #[test]
    fn warnings_are_at_most_one_a_minute() {
        let health = Health::default();
        let state = &health.feeds[0];
        assert!(health.may_warn(state));
        assert!(!health.may_warn(state));
    }

    #[test]
    fn contact_is_unknown_until_the_first() {
        let (health, pods) = followed(Feed::Pods);
        assert_eq!(health.since_contact(), None);
        pods.contact();
        assert!(health.since_contact().is_some());
    }
}
