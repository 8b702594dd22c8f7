//! Containers that have been throttled in many of their periods, minute after minute.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use collector::labels::LabelSet;
use collector::schema::{Id, Kernel};
use collector::snapshot::{Point, Snapshot};

use super::{Found, key, name};

/// Which part of the periods is many.
const MANY: f64 = 0.25;
/// Over how long a part is taken: shorter ones have too few periods to say much.
const WINDOW: Duration = Duration::from_secs(60);
/// How long it has to be many.
const FOR: Duration = Duration::from_secs(600);
/// How long what was said need not be said again.
const AGAIN: Duration = Duration::from_secs(1_800);

/// The containers that have a CPU limit.
#[derive(Debug, Default)]
pub(super) struct Throttling(HashMap<usize, Limited>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    at: SystemTime,
    periods: f64,
    throttled: f64,
}

#[derive(Debug)]
struct Limited {
    /// Kept, so that no other container can have the same address.
    labels: Arc<LabelSet>,
    /// Where the present window began.
    window: Reading,
    /// Where the first of the windows in a row began in which it was throttled often.
    since: Option<Reading>,
    told: Option<SystemTime>,
}

impl Reading {
    /// The part of the periods from `before` to this that were throttled.
    fn part_since(&self, before: &Self) -> f64 {
        let periods = self.periods - before.periods;
        if periods > 0.0 { (self.throttled - before.throttled) / periods } else { 0.0 }
    }

    fn after(&self, before: &Self) -> Duration {
        self.at.duration_since(before.at).unwrap_or_default()
    }
}

impl Throttling {
    /// What is worth an Event now. Wants every snapshot.
    pub(super) fn look(&mut self, snapshot: &Snapshot) -> Vec<Found> {
        let mut before = std::mem::take(&mut self.0);
        let throttled = snapshot.points(Id::container(Kernel::CfsThrottledPeriods));
        let throttled: HashMap<u32, f64> =
            throttled.iter().map(|point| (point.entity, point.value)).collect();
        let mut found = Vec::new();
        for Point { entity, value, .. } in snapshot.points(Id::container(Kernel::CfsPeriods)) {
            let Some(throttled) = throttled.get(entity) else { continue };
            let labels = &snapshot.entities()[*entity as usize].labels;
            let now = Reading { at: snapshot.taken(), periods: *value, throttled: *throttled };
            // Counters that went down are another container's.
            let limited = before.remove(&key(labels));
            let limited = limited.filter(|limited| {
                now.periods >= limited.window.periods && now.throttled >= limited.window.throttled
            });
            let fresh = || Limited { labels: labels.clone(), window: now, since: None, told: None };
            let limited =
                self.0.entry(key(labels)).or_insert_with(|| limited.unwrap_or_else(fresh));
            if let Some(sentence) = limited.take(now) {
                found.push(Found { labels: limited.labels.clone(), sentence });
            }
        }
        found
    }
}

impl Limited {
    fn take(&mut self, now: Reading) -> Option<String> {
        if now.after(&self.window) < WINDOW {
            return None;
        }
        if now.part_since(&self.window) <= MANY {
            self.since = None;
            self.window = now;
            return None;
        }
        let since = *self.since.get_or_insert(self.window);
        self.window = now;
        let is_told = self
            .told
            .is_some_and(|told| now.at.duration_since(told).is_ok_and(|passed| passed < AGAIN));
        if now.after(&since) < FOR || is_told {
            return None;
        }
        self.told = Some(now.at);
        Some(format!(
            "container {} was throttled in {:.0} % of its periods ({} of {}) since {}: its CPU limit is less than it uses",
            name(&self.labels),
            now.part_since(&since) * 100.0,
            now.throttled - since.throttled,
            now.periods - since.periods,
            humantime::format_rfc3339_seconds(since.at),
        ))
    }
}

#[cfg(test)]
mod tests {
    use collector::labels::Label;
    use collector::schema::Scope;
    use collector::snapshot::Entity;

    use super::*;

    struct Node {
        labels: Arc<LabelSet>,
        throttling: Throttling,
        seconds: u64,
        counters: (f64, f64),
    }

    impl Node {
        fn new() -> Self {
            let labels = Arc::new(LabelSet::new(vec![Label::own("container", "main")]));
            Self { labels, throttling: Throttling::default(), seconds: 0, counters: (0.0, 0.0) }
        }

        /// Minutes in each of which so many of 600 periods are throttled, at a tick of 10 s; what is said.
        fn minutes(&mut self, minutes: u64, throttled: f64) -> Vec<String> {
            let mut said = Vec::new();
            for _ in 0..minutes * 6 {
                self.seconds += 10;
                self.counters = (self.counters.0 + 100.0, self.counters.1 + throttled / 6.0);
                let mut snapshot = Snapshot::default();
                snapshot.reset(SystemTime::UNIX_EPOCH + Duration::from_secs(self.seconds));
                let entity = snapshot.add_entity(Entity {
                    scope: Scope::Container,
                    labels: self.labels.clone(),
                    start: None,
                    cpu_cores: None,
                });
                let (periods, throttled) = self.counters;
                snapshot.add(Id::container(Kernel::CfsPeriods), entity, None, periods);
                snapshot.add(Id::container(Kernel::CfsThrottledPeriods), entity, None, throttled);
                let found = self.throttling.look(&snapshot);
                said.extend(found.into_iter().map(|found| found.sentence));
            }
            said
        }
    }

    #[test]
    fn container_that_is_throttled_for_ten_minutes_is_told_once() {
        let mut node = Node::new();
        assert!(node.minutes(10, 240.0).is_empty());
        assert_eq!(
            node.minutes(5, 240.0),
            [
                "container main was throttled in 40 % of its periods (2400 of 6000) since 1970-01-01T00:00:10Z: its CPU limit is less than it uses"
            ]
        );
        assert_eq!(node.minutes(30, 240.0).len(), 1, "a reminder");
    }

    #[test]
    fn minute_without_much_throttling_begins_anew() {
        let mut node = Node::new();
        node.minutes(9, 240.0);
        node.minutes(2, 150.0);
        assert!(node.minutes(9, 240.0).is_empty());
        assert_eq!(node.minutes(3, 240.0).len(), 1);
    }

    #[test]
    fn counters_that_went_down_begin_anew() {
        let mut node = Node::new();
        node.minutes(9, 240.0);
        node.counters = (0.0, 0.0);
        assert!(node.minutes(9, 240.0).is_empty());
    }

    #[test]
    fn idle_container_is_not_throttled() {
        let mut node = Node::new();
        assert!(node.minutes(30, 0.0).is_empty());
    }
}
