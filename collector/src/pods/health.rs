//! How the watch is doing: counters and states that anyone may read at any time.
//!
//! Written by the feeds, read by `/readyz`, by the own metrics and by the page. No reader waits for a
//! writer. Holds no text that a server sent, so no secret can leak from here into a log.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tracing::{debug, info, warn};

use super::prune::Skipped;

/// Shortest time between two warnings of one feed.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// What is watched. The `resource` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// This node's pods.
    Pods,
    /// This node.
    Node,
    /// The namespaces' labels, where they are asked for.
    Namespaces,
}

/// What came. The `event` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An object was added or changed.
    Applied,
    /// An object was deleted.
    Deleted,
    /// A complete list replaced what was known.
    Relisted,
}

/// Why a request or a watch failed. The `kind` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection, no answer in time, or a connection cut.
    Unreachable,
    /// HTTP 403: a rule of the `ClusterRole` is missing.
    Forbidden,
    /// HTTP 401: the token is not accepted.
    Unauthorized,
    /// HTTP 410: the version to go on from is too old. Normal after a pause; a list follows.
    Gone,
    /// HTTP 429.
    Throttled,
    /// HTTP 5xx.
    ServerError,
    /// The server's certificate is not trusted, or ours is not accepted.
    Tls,
    /// The answer is not what the API documents.
    Decode,
    /// Anything else, such as HTTP 404.
    Other,
}

impl Feed {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pods, Self::Node, Self::Namespaces];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Node => "nodes",
            Self::Namespaces => "namespaces",
        }
    }
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Applied, Self::Deleted, Self::Relisted];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Deleted => "deleted",
            Self::Relisted => "relisted",
        }
    }
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Unreachable,
        Self::Forbidden,
        Self::Unauthorized,
        Self::Gone,
        Self::Throttled,
        Self::ServerError,
        Self::Tls,
        Self::Decode,
        Self::Other,
    ];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Forbidden => "forbidden",
            Self::Unauthorized => "unauthorized",
            Self::Gone => "gone",
            Self::Throttled => "throttled",
            Self::ServerError => "server_error",
            Self::Tls => "tls",
            Self::Decode => "decode",
            Self::Other => "other",
        }
    }
}

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

#[derive(Debug, Default)]
struct State {
    synced: AtomicBool,
    connected: AtomicBool,
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

    /// Whether the server is sending changes now.
    #[must_use]
    pub fn is_connected(&self, feed: Feed) -> bool {
        self.feeds[feed as usize].connected.load(Relaxed)
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

    /// The server answered or sent something.
    pub(super) fn contact(&self) {
        self.contact.store(self.now(), Relaxed);
    }

    pub(super) fn count(&self, feed: Feed, event: Event) {
        self.feeds[feed as usize].events[event as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn skip(&self, reason: Skipped, number: u64) {
        self.skipped[reason as usize].fetch_add(number, Relaxed);
    }

    /// A complete list is in force.
    pub(super) fn synced(&self, feed: Feed) {
        self.feeds[feed as usize].synced.store(true, Relaxed);
        self.recovered(feed);
    }

    /// A watch is open.
    pub(super) fn connected(&self, feed: Feed) {
        self.feeds[feed as usize].connected.store(true, Relaxed);
        self.recovered(feed);
    }

    /// The watch ended, whether or not that was a failure.
    pub(super) fn disconnected(&self, feed: Feed) {
        self.feeds[feed as usize].connected.store(false, Relaxed);
    }

    /// Counts, remembers and, now and then, logs.
    pub(super) fn failed(&self, feed: Feed, kind: Failure, sentence: String) {
        self.failures[kind as usize].fetch_add(1, Relaxed);
        self.disconnected(feed);
        if kind == Failure::Gone {
            debug!(resource = feed.as_str(), "{sentence}");
            return;
        }
        let state = &self.feeds[feed as usize];
        if self.may_warn(state) {
            warn!(resource = feed.as_str(), kind = kind.as_str(), "{sentence}");
            state.alarmed.store(true, Relaxed);
        }
        state.trouble.store(Some(Arc::new(sentence)));
    }

    fn recovered(&self, feed: Feed) {
        let state = &self.feeds[feed as usize];
        state.trouble.store(None);
        if state.alarmed.swap(false, Relaxed) {
            info!(resource = feed.as_str(), "the API server answers again");
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_lasts_until_the_server_answers_again() {
        let health = Health::default();
        health.failed(Feed::Pods, Failure::Forbidden, "no right".to_owned());
        assert_eq!(health.trouble(Feed::Pods).as_deref().map(String::as_str), Some("no right"));
        assert!(health.trouble(Feed::Node).is_none());

        health.connected(Feed::Pods);
        assert!(health.trouble(Feed::Pods).is_none());
        assert!(health.is_connected(Feed::Pods) && !health.is_synced(Feed::Pods));
        assert_eq!(
            health.failures().find(|(kind, _)| *kind == Failure::Forbidden),
            Some((Failure::Forbidden, 1))
        );
    }

    #[test]
    fn gone_is_counted_and_is_no_trouble() {
        let health = Health::default();
        health.failed(Feed::Pods, Failure::Gone, "too old".to_owned());
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
        let health = Health::default();
        assert_eq!(health.since_contact(), None);
        health.contact();
        assert!(health.since_contact().is_some());
    }
}
