//! How often something may be done: each thing once in a while, and all things together.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// Things whose times are remembered.
const MAX_REMEMBERED: usize = 1_000;

/// Lets each thing through once in a while.
#[derive(Debug)]
pub(crate) struct Limit<K> {
    every: Duration,
    last: HashMap<K, Instant>,
}

impl<K: Hash + Eq> Limit<K> {
    pub(crate) fn new(every: Duration) -> Self {
        Self { every, last: HashMap::new() }
    }

    /// Whether it may go now, which is remembered.
    pub(crate) fn lets(&mut self, key: K, now: Instant) -> bool {
        let every = self.every;
        self.last.retain(|_, last| now.duration_since(*last) < every);
        if self.last.contains_key(&key) || self.last.len() >= MAX_REMEMBERED {
            return false;
        }
        self.last.insert(key, now);
        true
    }
}

/// A bucket of tokens: some at once, then one after each pause.
#[derive(Debug)]
pub(crate) struct Bucket {
    most: u32,
    every: Duration,
    /// When it was, or will be, full again.
    full: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(most: u32, every: Duration) -> Self {
        Self { most, every, full: Instant::now() }
    }

    /// Takes a token, if there is one now.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let is_there = self.next(now) <= now;
        if is_there {
            self.full = self.full.max(now) + self.every;
        }
        is_there
    }

    /// Takes a token as soon as there is one.
    pub(crate) async fn wait(&mut self) {
        while !self.take(Instant::now()) {
            tokio::time::sleep_until(self.next(Instant::now())).await;
        }
    }

    /// From when on there is a token.
    fn next(&self, now: Instant) -> Instant {
        let missing = self.full.saturating_duration_since(now);
        let allowed = self.every * self.most.saturating_sub(1);
        now + missing.saturating_sub(allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(600);

    #[tokio::test(start_paused = true)]
    async fn each_thing_goes_once_in_a_while() {
        let mut limit = Limit::new(EVERY);
        let now = Instant::now();
        assert!(limit.lets("a", now) && limit.lets("b", now));
        assert!(!limit.lets("a", now + EVERY / 2));
        assert!(limit.lets("a", now + EVERY));
    }

    #[tokio::test(start_paused = true)]
    async fn bucket_gives_some_at_once_and_then_one_after_each_pause() {
        let pause = Duration::from_secs(6);
        let mut bucket = Bucket::new(10, pause);
        let now = Instant::now();
        assert_eq!((0..30).filter(|_| bucket.take(now)).count(), 10);
        assert!(!bucket.take(now + pause - Duration::from_millis(1)));
        assert!(bucket.take(now + pause) && !bucket.take(now + pause));
        let later = now + pause * 100;
        assert_eq!((0..30).filter(|_| bucket.take(later)).count(), 10, "it does not overflow");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_token_gets_it_after_the_pause() {
        let mut bucket = Bucket::new(1, Duration::from_secs(6));
        let start = Instant::now();
        bucket.wait().await;
        bucket.wait().await;
        bucket.wait().await;
        assert_eq!(start.elapsed(), Duration::from_secs(12));
    }
}
