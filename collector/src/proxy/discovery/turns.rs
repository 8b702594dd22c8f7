//! When what is to be written goes to the API server: not from all nodes at once, and not again and again.
//!
//! No I/O. Every node knows of the same faults at the same moment, and another controller may want something else
//! in the same place.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// How writings are spaced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spacing {
    /// Each waits for a random part of this.
    pub(super) spread: Duration,
    /// Shortest time between two of the same; doubled each time.
    pub(super) again: Duration,
    /// Longest such time.
    pub(super) most: Duration,
    /// Things that are remembered.
    pub(super) bound: usize,
}

/// What waits for its turn, and what had it.
#[derive(Debug)]
pub(super) struct Turns<K> {
    spacing: Spacing,
    known: HashMap<K, Turn>,
}

#[derive(Debug)]
struct Turn {
    due: Option<Instant>,
    last: Option<Instant>,
    /// How long it must be left alone after the last time.
    wait: Duration,
}

impl<K: Clone + Eq + Hash> Turns<K> {
    pub(super) fn new(spacing: Spacing) -> Self {
        Self { spacing, known: HashMap::new() }
    }

    /// It is to be written.
    pub(super) fn ask(&mut self, key: K, now: Instant) {
        // What nobody asked for in twice its time stands, and is forgotten.
        self.known.retain(|_, turn| {
            let stands = turn.last.is_none_or(|last| now.duration_since(last) >= 2 * turn.wait);
            turn.due.is_some() || !stands
        });
        let spread = self.spacing.spread.mul_f64(fastrand::f64());
        let is_full = self.known.len() >= self.spacing.bound;
        match self.known.get_mut(&key) {
            Some(turn) if turn.due.is_none() => {
                let free = turn.last.map_or(now, |last| last + turn.wait);
                turn.due = Some(free.max(now) + spread);
            }
            None if !is_full => {
                let turn = Turn { due: Some(now + spread), last: None, wait: self.spacing.again };
                self.known.insert(key, turn);
            }
            _ => {}
        }
    }

    /// When the next turn is.
    pub(super) fn next(&self) -> Option<Instant> {
        self.known.values().filter_map(|turn| turn.due).min()
    }

    /// Whose turn it is.
    pub(super) fn take(&mut self, now: Instant) -> Option<K> {
        let due = self.known.iter_mut().filter(|(_, turn)| turn.due.is_some_and(|due| due <= now));
        let (key, turn) = due.min_by_key(|(_, turn)| turn.due)?;
        turn.due = None;
        Some(key.clone())
    }

    /// It was written. When it is asked for again soon, someone else keeps writing over it.
    pub(super) fn written(&mut self, key: &K, now: Instant) {
        let most = self.spacing.most;
        if let Some(turn) = self.known.get_mut(key) {
            if turn.last.is_some() {
                turn.wait = (2 * turn.wait).min(most);
            }
            turn.last = Some(now);
        }
    }

    /// It could not be written, and has another turn.
    pub(super) fn failed(&mut self, key: &K, now: Instant) {
        self.written(key, now);
        let spread = self.spacing.spread.mul_f64(fastrand::f64());
        if let Some(turn) = self.known.get_mut(key) {
            turn.due = Some(now + turn.wait + spread);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACING: Spacing = Spacing {
        spread: Duration::from_secs(60),
        again: Duration::from_secs(100),
        most: Duration::from_secs(300),
        bound: 2,
    };

    #[tokio::test(start_paused = true)]
    async fn each_waits_a_random_time_so_that_nodes_do_not_write_at_once() {
        let now = Instant::now();
        let due = || {
            let mut turns = Turns::new(SPACING);
            turns.ask("a", now);
            turns.next().unwrap() - now
        };
        let all: Vec<_> = (0..64).map(|_| due()).collect();
        assert!(all.iter().all(|due| *due <= SPACING.spread));
        assert!(
            all.iter().max().unwrap().abs_diff(*all.iter().min().unwrap()) > SPACING.spread / 2
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_for_again_soon_waits_longer_each_time() {
        let mut turns = Turns::new(Spacing { spread: Duration::ZERO, ..SPACING });
        let mut now = Instant::now();
        for wait in [0, 100, 200, 300, 300] {
            turns.ask("a", now);
            turns.ask("a", now);
            assert_eq!(turns.next(), Some(now + Duration::from_secs(wait)));
            now += Duration::from_secs(wait);
            assert_eq!((turns.take(now), turns.take(now)), (Some("a"), None));
            turns.written(&"a", now);
        }
        now += Duration::from_secs(600);
        turns.ask("a", now);
        assert_eq!(turns.next(), Some(now), "it stood for long enough");
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_has_another_turn_and_what_is_beyond_the_bound_has_none() {
        let mut turns = Turns::new(Spacing { spread: Duration::ZERO, ..SPACING });
        let now = Instant::now();
        for key in ["a", "b", "c"] {
            turns.ask(key, now);
        }
        let taken = [turns.take(now).unwrap(), turns.take(now).unwrap()];
        assert!(taken.contains(&"a") && taken.contains(&"b"));
        turns.written(&"b", now);
        turns.failed(&"a", now);
        assert_eq!(turns.next(), Some(now + SPACING.again));
        assert_eq!(turns.take(now + SPACING.again), Some("a"));
    }
}
