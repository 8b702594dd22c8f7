//! What a snapshot gets of all this.

use std::sync::atomic::Ordering;

use super::Stats;
use super::base::Base;
use crate::schema::Series;
use crate::snapshot::{Contribute, Snapshot};

impl Contribute for Stats {
    fn contribute(&mut self, snapshot: &mut Snapshot, agent: u32) {
        let inner = &*self.0;
        let mut registry = inner.registry();
        registry.forget(inner.scrapes.load(Ordering::Relaxed), snapshot.taken());
        registry.emit(snapshot);
        drop(registry);
        beyond(&inner.base, snapshot, agent);
        for (at, labels) in inner.base.words.refusals.iter().enumerate() {
            let counts = inner.refused.iter().map(|shard| shard.0[at].load(Ordering::Relaxed));
            let count: u64 = counts.sum();
            snapshot.add(Series::ProxyRefused.into(), agent, Some(labels.clone()), count as f64);
        }
    }
}

/// What found no place within the budget is under the proxy's own name, for it may be of any pod or route.
fn beyond(base: &Base, snapshot: &mut Snapshot, agent: u32) {
    let (beyond, words) = (&base.beyond, &base.words);
    if !beyond.backends.is_unused() {
        beyond.backends.emit(snapshot, agent, words, true);
    }
    if !beyond.routes.is_unused() {
        beyond.routes.emit(snapshot, agent, words, true);
    }
    let mut count = 0;
    for (series, durations) in
        [(Series::BackendDuration, &beyond.attempts), (Series::RouteDuration, &beyond.requests)]
    {
        if !durations.is_unused() {
            let value = durations.value();
            count += value.count();
            snapshot.add_histogram(series.into(), agent, Some(words.beyond.clone()), value);
        }
    }
    snapshot.add(Series::ProxySeriesOverflow.into(), agent, None, count as f64);
}
