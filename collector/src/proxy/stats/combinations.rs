//! Histograms by what was asked and answered: found without a lock and without allocating.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::base::Base;
use super::budget::Place;
use super::durations::Durations;
use crate::labels::LabelSet;
use crate::schema::Series;
use crate::snapshot::Snapshot;

/// Of one pod or route.
#[derive(Debug)]
pub(super) struct Combinations<K> {
    /// Replaced whole when there is a new one, which is seldom; read for each request.
    known: ArcSwap<Known<K>>,
    growing: Mutex<()>,
}

/// Keys in their order beside what they stand for.
#[derive(Debug)]
struct Known<K> {
    keys: Box<[K]>,
    combinations: Box<[Arc<Combination>]>,
}

#[derive(Debug)]
struct Combination {
    labels: Arc<LabelSet>,
    durations: Durations,
    _place: Place,
}

impl<K: Ord + Copy> Combinations<K> {
    pub(super) fn new() -> Self {
        let known = Known { keys: Box::default(), combinations: Box::default() };
        Self { known: ArcSwap::from_pointee(known), growing: Mutex::default() }
    }

    /// Gives `record` the key's histogram, a new one with these labels if there is none yet, and nothing when
    /// there is no place for a new one.
    #[inline]
    pub(super) fn with(
        &self,
        key: K,
        base: &Base,
        labels: impl FnOnce() -> LabelSet,
        record: impl FnOnce(Option<&Durations>),
    ) {
        let known = self.known.load();
        if let Ok(at) = known.keys.binary_search(&key) {
            return record(Some(&known.combinations[at].durations));
        }
        if base.budget.is_spent() {
            return record(None);
        }
        record(self.grow(key, base, labels).as_deref().map(|grown| &grown.durations));
    }

    #[cold]
    fn grow(
        &self,
        key: K,
        base: &Base,
        labels: impl FnOnce() -> LabelSet,
    ) -> Option<Arc<Combination>> {
        let _growing = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known.load();
        let at = match known.keys.binary_search(&key) {
            Ok(at) => return Some(known.combinations[at].clone()),
            Err(at) => at,
        };
        let grown = Arc::new(Combination {
            _place: base.budget.take()?,
            labels: Arc::new(labels()),
            durations: Durations::new(base.threads),
        });
        let (mut keys, mut combinations) = (known.keys.to_vec(), known.combinations.to_vec());
        keys.insert(at, key);
        combinations.insert(at, grown.clone());
        self.known.store(Arc::new(Known { keys: keys.into(), combinations: combinations.into() }));
        Some(grown)
    }

    pub(super) fn emit(&self, snapshot: &mut Snapshot, series: Series, entity: u32) {
        for combination in &self.known.load().combinations {
            let labels = Some(combination.labels.clone());
            let value = combination.durations.value();
            snapshot.add_histogram(series.into(), entity, labels, value);
        }
    }
}
