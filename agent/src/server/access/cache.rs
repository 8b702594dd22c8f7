//! What the API server answered, for a few seconds; a yes is kept longer, for when the server is away.
//!
//! Bounded: whoever tries many tokens pushes out refusals, and a yes only when there is nothing else left.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::token::Key;

/// How long an answer counts without asking again.
pub(super) const FRESH: Duration = Duration::from_secs(5);
/// Answers that are kept at most.
pub(super) const MOST: usize = 1_024;

/// What the API server says of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Its owner may.
    Allowed,
    /// Its owner, by this name, may not.
    Forbidden(Arc<str>),
    /// It is nobody's, or no longer.
    Unknown,
}

/// The answers that are kept.
#[derive(Debug)]
pub(super) struct Cache {
    grace: Duration,
    entries: HashMap<Key, Entry>,
}

#[derive(Debug)]
struct Entry {
    verdict: Verdict,
    /// When the question was asked.
    asked: Instant,
    /// Until when it is not asked again.
    fresh: Instant,
}

impl Cache {
    /// A yes holds for `grace` after it was asked for, while the API server is away.
    pub(super) fn new(grace: Duration) -> Self {
        Self { grace, entries: HashMap::new() }
    }

    /// An answer that still counts.
    pub(super) fn fresh(&self, key: &Key, now: Instant) -> Option<Verdict> {
        self.entries.get(key).filter(|entry| now < entry.fresh).map(|entry| entry.verdict.clone())
    }

    /// Keeps the answer to a question that was asked then.
    pub(super) fn keep(&mut self, key: Key, verdict: Verdict, asked: Instant) {
        if self.entries.len() >= MOST && !self.entries.contains_key(&key) {
            self.make_room(asked);
        }
        self.entries.insert(key, Entry { verdict, asked, fresh: asked + FRESH });
    }

    /// Whether an earlier yes holds now that the API server is away. If so it counts as fresh for a while, so that
    /// not every request waits for a server that does not answer.
    pub(super) fn hold(&mut self, key: &Key, now: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(key) else { return false };
        let end = entry.asked + self.grace;
        let holds = entry.verdict == Verdict::Allowed && now < end;
        if holds {
            entry.fresh = end.min(now + FRESH);
        }
        holds
    }

    fn make_room(&mut self, now: Instant) {
        let grace = self.grace;
        self.entries.retain(|_, entry| {
            now < entry.fresh || (entry.verdict == Verdict::Allowed && now < entry.asked + grace)
        });
        while self.entries.len() >= MOST {
            let rank = |entry: &Entry| (entry.verdict == Verdict::Allowed, entry.asked);
            let least = self.entries.iter().min_by_key(|(_, entry)| rank(entry));
            let Some(key) = least.map(|(key, _)| *key) else { break };
            self.entries.remove(&key);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(60);

    fn key(number: usize) -> Key {
        let mut key = Key::default();
        key[..8].copy_from_slice(&number.to_be_bytes());
        key
    }

    #[test]
    fn yes_and_no_count_for_the_same_few_seconds() {
        let (mut cache, start) = (Cache::new(GRACE), Instant::now());
        let verdicts = [Verdict::Allowed, Verdict::Forbidden("a".into()), Verdict::Unknown];
        for (number, verdict) in verdicts.into_iter().enumerate() {
            cache.keep(key(number), verdict.clone(), start);
            let last = start + FRESH - Duration::from_millis(1);
            assert_eq!(cache.fresh(&key(number), last), Some(verdict));
            assert_eq!(cache.fresh(&key(number), start + FRESH), None);
        }
    }

    #[test]
    fn only_a_yes_holds_and_only_within_its_grace() {
        let (mut cache, start) = (Cache::new(GRACE), Instant::now());
        cache.keep(key(1), Verdict::Allowed, start);
        cache.keep(key(2), Verdict::Forbidden("a".into()), start);
        let later = start + GRACE - Duration::from_secs(1);
        assert!(cache.hold(&key(1), later) && !cache.hold(&key(2), later));
        assert!(!cache.hold(&key(3), later), "never asked");
        assert_eq!(cache.fresh(&key(1), later), Some(Verdict::Allowed));
        assert_eq!(cache.fresh(&key(1), start + GRACE), None, "not a moment longer");
        assert!(!cache.hold(&key(1), start + GRACE));
    }

    #[test]
    fn a_no_takes_the_place_of_a_yes() {
        let (mut cache, start) = (Cache::new(GRACE), Instant::now());
        cache.keep(key(1), Verdict::Allowed, start);
        cache.keep(key(1), Verdict::Unknown, start + FRESH);
        assert!(!cache.hold(&key(1), start + FRESH));
    }

    #[test]
    fn a_flood_of_bad_tokens_stays_bounded_and_pushes_no_yes_out() {
        let (mut cache, start) = (Cache::new(GRACE), Instant::now());
        cache.keep(key(0), Verdict::Allowed, start);
        for number in 1..3 * MOST {
            cache.keep(key(number), Verdict::Unknown, start + Duration::from_millis(number as u64));
            assert!(cache.len() <= MOST);
        }
        assert!(cache.hold(&key(0), start + Duration::from_secs(10)));
        for number in 1..=MOST {
            cache.keep(key(number), Verdict::Allowed, start + Duration::from_secs(20));
        }
        assert_eq!(cache.len(), MOST);
        assert!(!cache.hold(&key(0), start + Duration::from_secs(20)), "the oldest yes goes first");
    }
}
