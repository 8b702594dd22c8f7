//! Containers whose memory that cannot be reclaimed has been near the limit for a while.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use collector::labels::LabelSet;
use collector::schema::{Id, Kernel, Series};
use collector::snapshot::{Point, Snapshot};

use super::{Found, key, name};

/// What is near: a cache that can be dropped does not count in.
const NEAR: f64 = 0.9;
/// How long it has to be near. Shorter peaks are what limits are for.
const FOR: Duration = Duration::from_secs(60);
/// How long what was said need not be said again.
const AGAIN: Duration = Duration::from_secs(1_800);
const MIB: f64 = 1_048_576.0;

/// The containers that are near now.
#[derive(Debug, Default)]
pub(super) struct Memory(HashMap<usize, Near>);

#[derive(Debug)]
struct Near {
    /// Kept, so that no other container can have the same address.
    labels: Arc<LabelSet>,
    /// Of the container's incarnation.
    start: Option<SystemTime>,
    since: SystemTime,
    told: Option<SystemTime>,
}

impl Memory {
    /// What is worth an Event now. Wants every snapshot.
    pub(super) fn look(&mut self, snapshot: &Snapshot) -> Vec<Found> {
        let mut before = std::mem::take(&mut self.0);
        let now = snapshot.taken();
        let mut found = Vec::new();
        for point in
            snapshot.points(Series::MemoryLimitRatio.into()).iter().filter(|point| is_near(point))
        {
            let entity = &snapshot.entities()[point.entity as usize];
            let key = key(&entity.labels);
            let fresh = || Near {
                labels: entity.labels.clone(),
                start: entity.start,
                since: now,
                told: None,
            };
            let near = before.remove(&key).filter(|near| near.start == entity.start);
            let near = self.0.entry(key).or_insert_with(|| near.unwrap_or_else(fresh));
            let lasts = now.duration_since(near.since).unwrap_or_default();
            let is_told = near
                .told
                .is_some_and(|told| now.duration_since(told).is_ok_and(|passed| passed < AGAIN));
            if lasts >= FOR && !is_told {
                near.told = Some(now);
                let sentence = sentence(snapshot, point, near);
                found.push(Found { labels: near.labels.clone(), sentence });
            }
        }
        found
    }
}

fn is_near(point: &Point) -> bool {
    let basis = point.extra.as_ref().and_then(|extra| extra.value("basis"));
    basis == Some("unreclaimable") && point.value > NEAR
}

fn sentence(snapshot: &Snapshot, point: &Point, near: &Near) -> String {
    let usage = snapshot.points(Id::container(Kernel::MemoryUnreclaimable)).iter();
    let usage = usage.filter(|usage| usage.entity == point.entity).map(|usage| usage.value).next();
    let amounts = usage.map_or_else(String::new, |usage| {
        format!("{:.0} MiB of {:.0} MiB, ", usage / MIB, usage / point.value / MIB)
    });
    format!(
        "container {} is near its memory limit: {amounts}{:.0} % since {}; what cannot be reclaimed alone is counted, so at the limit it is killed",
        name(&near.labels),
        point.value * 100.0,
        humantime::format_rfc3339_seconds(near.since),
    )
}

#[cfg(test)]
mod tests {
    use collector::labels::Label;
    use collector::schema::Scope;
    use collector::snapshot::Entity;

    use super::*;

    struct Node {
        labels: Arc<LabelSet>,
        basis: Arc<LabelSet>,
        memory: Memory,
    }

    impl Node {
        fn new() -> Self {
            let set = |key, value: &str| Arc::new(LabelSet::new(vec![Label::own(key, value)]));
            let labels = set("container", "main");
            Self { labels, basis: set("basis", "unreclaimable"), memory: Memory::default() }
        }

        /// What is said of a container that started then and has this part of 100 MiB now.
        fn at(&mut self, seconds: u64, start: u64, ratio: f64) -> Vec<String> {
            let time = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let mut snapshot = Snapshot::default();
            snapshot.reset(time(seconds));
            let entity = snapshot.add_entity(Entity {
                scope: Scope::Container,
                labels: self.labels.clone(),
                start: Some(time(start)),
                cpu_cores: None,
            });
            let usage = Id::container(Kernel::MemoryUnreclaimable);
            snapshot.add(usage, entity, None, 100.0 * MIB * ratio);
            let basis = Some(self.basis.clone());
            snapshot.add(Series::MemoryLimitRatio.into(), entity, basis, ratio);
            self.memory.look(&snapshot).into_iter().map(|found| found.sentence).collect()
        }
    }

    #[test]
    fn container_that_stays_near_is_told_with_amounts_and_since_when() {
        let mut node = Node::new();
        assert!(node.at(10, 0, 0.95).is_empty());
        assert!(node.at(60, 0, 0.96).is_empty());
        assert_eq!(
            node.at(70, 0, 0.97),
            [
                "container main is near its memory limit: 97 MiB of 100 MiB, 97 % since 1970-01-01T00:00:10Z; what cannot be reclaimed alone is counted, so at the limit it is killed"
            ]
        );
        assert!(node.at(80, 0, 0.97).is_empty(), "once");
        assert_eq!(node.at(70 + AGAIN.as_secs(), 0, 0.97).len(), 1, "a reminder");
    }

    #[test]
    fn peak_and_replacement_begin_anew() {
        let mut node = Node::new();
        node.at(10, 0, 0.95);
        node.at(40, 0, 0.5);
        assert!(node.at(75, 0, 0.95).is_empty(), "it was less in between");
        assert!(node.at(140, 100, 0.95).is_empty(), "another container since");
        assert_eq!(node.at(200, 100, 0.95).len(), 1);
    }

    #[test]
    fn ninety_percent_is_not_over_ninety() {
        let mut node = Node::new();
        node.at(10, 0, 0.9);
        assert!(node.at(100, 0, 0.9).is_empty());
    }
}
