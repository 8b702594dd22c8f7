//! Where in the server's history a feed stands.
//!
//! The rules that keep a server with odd versions from losing pods: within one list's life the version only
//! rises, so that a bookmark or an event that goes back never makes a watch replay old states; what a *list*
//! says is taken as it is, also when it is lower, because a restored server really starts lower; and an
//! hourly list heals what a version that was too high made us miss.

use std::time::Duration;

use tokio::time::Instant;

use super::Fault;
use crate::api::health::Failure;

/// Failures in a row after which to list again instead of trying the same version.
const PATIENCE: u32 = 4;
/// Longest time without a list.
const RELIST: Duration = Duration::from_secs(3_600);
/// The server's cache, whatever its age.
const CACHE: &str = "0";

#[derive(Debug, Default)]
pub(super) struct Position {
    /// To watch from; `None` asks for a list.
    version: Option<String>,
    /// The last version seen: a later list must not be older.
    last: Option<String>,
    listed: Option<Instant>,
    /// Failures since something last worked.
    failures: u32,
}

impl Position {
    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// What a list must not be older than.
    pub(super) fn list_from(&self) -> &str {
        self.last.as_deref().unwrap_or(CACHE)
    }

    pub(super) fn listed(&mut self, version: &str) {
        self.version = Some(version.to_owned());
        self.last.clone_from(&self.version);
        self.listed = Some(Instant::now());
    }

    pub(super) fn saw(&mut self, seen: Option<&str>) {
        let Some(seen) = seen else { return };
        let number = |text: &str| text.parse::<u64>().ok();
        let before = self.version.as_deref().and_then(number);
        // A version that is no number cannot be compared, so the newest word is taken.
        if before.zip(number(seen)).is_none_or(|(before, now)| now > before) {
            self.version = Some(seen.to_owned());
            self.last.clone_from(&self.version);
        }
    }

    /// A watch brought something.
    pub(super) fn worked(&mut self) {
        self.failures = 0;
    }

    /// A watch ended in order.
    pub(super) fn ended(&mut self, was_useful: bool) {
        self.failures = if was_useful { 0 } else { self.failures + 1 };
        let is_due = self.listed.is_none_or(|listed| listed.elapsed() >= RELIST);
        if is_due || self.failures >= PATIENCE {
            self.version = None;
        }
    }

    pub(super) fn failed(&mut self, fault: &Fault) {
        self.failures += 1;
        let listing = self.version.is_none();
        if fault.kind == Failure::Gone || self.failures.is_multiple_of(PATIENCE) {
            self.version = None;
        }
        // A server that answers but cannot serve that version may have been restored to an older state.
        if fault.kind == Failure::Gone || (listing && fault.kind != Failure::Unreachable) {
            self.last = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(version: &str) -> Position {
        let mut position = Position::default();
        position.listed(version);
        position
    }

    #[tokio::test]
    async fn first_list_is_from_the_cache_and_a_later_one_is_not_older() {
        let mut position = Position::default();
        assert_eq!((position.version(), position.list_from()), (None, "0"));
        position.listed("7");
        assert_eq!((position.version(), position.list_from()), (Some("7"), "7"));
    }

    #[tokio::test]
    async fn version_only_rises_within_a_lists_life() {
        let mut position = listed("7");
        position.saw(Some("9"));
        position.saw(Some("3"));
        position.saw(None);
        assert_eq!(position.version(), Some("9"));
        position.listed("5");
        assert_eq!(position.version(), Some("5"), "a restored server starts lower");
    }

    #[tokio::test]
    async fn version_that_is_gone_leads_to_a_list_from_the_cache() {
        let mut position = listed("7");
        position.failed(&Fault::new(Failure::Gone, "too old"));
        assert_eq!((position.version(), position.list_from()), (None, "0"));
    }

    #[tokio::test]
    async fn failures_in_a_row_lead_to_a_list_and_one_does_not() {
        let mut position = listed("7");
        for _ in 0..PATIENCE - 1 {
            position.failed(&Fault::new(Failure::ServerError, "no"));
            assert_eq!(position.version(), Some("7"));
        }
        position.failed(&Fault::new(Failure::ServerError, "no"));
        assert_eq!((position.version(), position.list_from()), (None, "7"));
        position.failed(&Fault::new(Failure::ServerError, "too large"));
        assert_eq!(position.list_from(), "0");
    }

    #[tokio::test(start_paused = true)]
    async fn an_hour_after_the_list_comes_the_next() {
        let mut position = listed("7");
        position.ended(true);
        assert_eq!(position.version(), Some("7"));
        tokio::time::advance(RELIST).await;
        position.ended(true);
        assert_eq!(position.version(), None);
    }

    #[tokio::test]
    async fn watches_that_end_at_once_lead_to_a_list() {
        let mut position = listed("7");
        for _ in 0..PATIENCE {
            assert_eq!(position.version(), Some("7"));
            position.ended(false);
        }
        assert_eq!(position.version(), None);
    }
}
