//! The watches' state as series.

use std::sync::Arc;

use super::health::{Event, Failure, Feed, Health, Skipped};
use crate::labels::{Label, LabelSet};
use crate::schema::Series;
use crate::snapshot::{Contribute, Snapshot};

/// Adds the `podmeter_watch_*` series; their label sets are made once.
pub struct Observer {
    health: Arc<Health>,
    feeds: Vec<(Feed, Arc<LabelSet>)>,
    events: Vec<Arc<LabelSet>>,
    failures: Vec<Arc<LabelSet>>,
    skipped: Vec<Arc<LabelSet>>,
}

impl Observer {
    /// Observes these `feeds`: those that are watched.
    #[must_use]
    pub fn new(health: Arc<Health>, feeds: &[Feed]) -> Self {
        let set = |pairs: &[(&str, &str)]| {
            Arc::new(LabelSet::new(
                pairs.iter().map(|(name, value)| Label::own(name, *value)).collect(),
            ))
        };
        let events = Feed::ALL.iter().flat_map(|feed| {
            Event::ALL.map(|event| set(&[("resource", feed.as_str()), ("event", event.as_str())]))
        });
        Self {
            health,
            feeds: feeds.iter().map(|feed| (*feed, set(&[("resource", feed.as_str())]))).collect(),
            events: events.collect(),
            failures: Failure::ALL.map(|failure| set(&[("kind", failure.as_str())])).into(),
            skipped: Skipped::ALL.map(|reason| set(&[("reason", reason.as_str())])).into(),
        }
    }
}

impl Contribute for Observer {
    fn contribute(&mut self, snapshot: &mut Snapshot, agent: u32) {
        for (feed, set) in &self.feeds {
            // What the proxy follows depends on what there is: nothing to follow is no watch that is down.
            if Feed::PROXY.contains(feed) && !self.health.is_followed(*feed) {
                continue;
            }
            let states = [
                (Series::WatchConnected, self.health.is_connected(*feed)),
                (Series::WatchSynced, self.health.is_synced(*feed)),
            ];
            for (series, holds) in states {
                snapshot.add(series.into(), agent, Some(set.clone()), f64::from(u8::from(holds)));
            }
        }
        if let Some(age) = self.health.since_contact() {
            snapshot.add(Series::WatchContactAge.into(), agent, None, age.as_secs_f64());
        }
        for ((feed, _, count), set) in self.health.events().zip(&self.events) {
            if self.feeds.iter().any(|(watched, _)| *watched == feed) {
                snapshot.add(Series::WatchEvents.into(), agent, Some(set.clone()), count as f64);
            }
        }
        for ((_, count), set) in self.health.failures().zip(&self.failures) {
            snapshot.add(Series::WatchFailures.into(), agent, Some(set.clone()), count as f64);
        }
        for ((_, count), set) in self.health.skipped().zip(&self.skipped) {
            snapshot.add(Series::ObjectsSkipped.into(), agent, Some(set.clone()), count as f64);
        }
    }
}
