//! What is known of one pod.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::StatusCode;

use super::base::Base;
use super::budget::Place;
use super::combinations::Combinations;
use super::durations::Durations;
use super::words::{Told, Verb, Words};
use super::{Attempt, Outcome, RouteStats};
use crate::histogram::cells::Shards;
use crate::proxy::failure::Failure;
use crate::schema::Series;
use crate::snapshot::Snapshot;

/// A pod's counts. Its series end when nobody holds it any more, after two more scrapes.
#[derive(Debug)]
pub struct BackendStats {
    base: Arc<Base>,
    /// Made with the first request: a pod that is never asked costs nothing and has no series. Nothing when
    /// there was no place in the budget then; the pod's counts go beyond it as long as it is known.
    own: OnceLock<Option<Box<Own>>>,
}

#[derive(Debug)]
struct Own {
    totals: Totals,
    attempts: Combinations<Key>,
    _place: Place,
}

/// What is not told by method and status.
#[derive(Debug)]
pub(super) struct Totals {
    shards: Shards<Shard>,
    first_byte: Durations,
    connect: Durations,
}

#[derive(Debug)]
struct Shard {
    /// Begun and not ended; below zero where a worker ended what another began.
    active: AtomicI64,
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    /// By [`Failure`].
    connect_errors: [AtomicU64; Failure::ALL.len()],
    errors: [AtomicU64; Failure::ALL.len()],
}

/// Tells a pod's combinations apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    template: u32,
    verb: Verb,
    status: Option<StatusCode>,
    /// A [`Failure`]'s place.
    failure: Option<u8>,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            active: AtomicI64::new(0),
            request_bytes: AtomicU64::new(0),
            response_bytes: AtomicU64::new(0),
            connect_errors: std::array::from_fn(|_| AtomicU64::new(0)),
            errors: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl BackendStats {
    pub(super) fn new(base: Arc<Base>) -> Self {
        Self { base, own: OnceLock::new() }
    }

    /// A connection was made, or was not.
    pub fn connected(&self, worker: usize, took: Duration, outcome: Result<(), Failure>) {
        let (totals, _) = self.places();
        match outcome {
            Ok(()) => totals.connect.record(worker, took, None),
            Err(failure) => {
                add(&totals.shards.of(worker).connect_errors[failure as usize], 1);
            }
        }
    }

    /// An attempt begins.
    pub fn began(&self, worker: usize) {
        let (totals, _) = self.places();
        totals.shards.of(worker).active.fetch_add(1, Ordering::Relaxed);
    }

    /// An attempt that began tells nothing: its request was not sent.
    pub fn abandoned(&self, worker: usize) {
        let (totals, _) = self.places();
        totals.shards.of(worker).active.fetch_sub(1, Ordering::Relaxed);
    }

    /// An attempt ended.
    pub fn ended(&self, worker: usize, route: &RouteStats, attempt: &Attempt<'_>) {
        let (totals, own) = self.places();
        let shard = totals.shards.of(worker);
        shard.active.fetch_sub(1, Ordering::Relaxed);
        add(&shard.request_bytes, attempt.request_bytes);
        add(&shard.response_bytes, attempt.response_bytes);
        if let Some(first_byte) = attempt.first_byte {
            totals.first_byte.record(worker, first_byte, None);
        }
        let (status, failure) = match attempt.outcome {
            Outcome::Answered(status) => (Some(status), None),
            Outcome::Failed(failure, status) => (status, Some(failure)),
        };
        if let Some(failure) = failure {
            add(&shard.errors[failure as usize], 1);
        }
        let record = |known: Option<&Durations>| {
            let durations = known.unwrap_or(&self.base.beyond.attempts);
            durations.record(worker, attempt.total, attempt.trace);
        };
        let Some(own) = own else { return record(None) };
        let (verb, (template, text)) = (Verb::of(attempt.method), route.template());
        let key = Key { template, verb, status, failure: failure.map(|failure| failure as u8) };
        let labels = || {
            let error = failure.map(Failure::as_str);
            self.base.words.combination(&Told { verb, status, error, route: Some(text) })
        };
        own.attempts.with(key, &self.base, labels, record);
    }

    /// Where to count, and the pod's own counts if it has any.
    #[inline]
    fn places(&self) -> (&Totals, Option<&Own>) {
        let own = self.own.get_or_init(|| {
            let place = self.base.budget.take()?;
            let totals = Totals::new(self.base.threads);
            Some(Box::new(Own { totals, attempts: Combinations::new(), _place: place }))
        });
        match own {
            Some(own) => (&own.totals, Some(own)),
            None => (&self.base.beyond.backends, None),
        }
    }

    /// Adds what is the pod's own to the entity that `entity` makes, if there is anything.
    pub(super) fn emit(&self, snapshot: &mut Snapshot, entity: impl FnOnce(&mut Snapshot) -> u32) {
        let Some(Some(own)) = self.own.get() else { return };
        let entity = entity(snapshot);
        own.attempts.emit(snapshot, Series::BackendDuration, entity);
        own.totals.emit(snapshot, entity, &self.base.words, false);
    }
}

impl Totals {
    pub(super) fn new(threads: usize) -> Self {
        Self {
            shards: Shards::new(threads),
            first_byte: Durations::new(threads),
            connect: Durations::new(threads),
        }
    }

    pub(super) fn is_unused(&self) -> bool {
        self.shards.is_unused() && self.connect.is_unused()
    }

    /// `is_beyond` for the series that stand for all that is beyond the budget.
    pub(super) fn emit(
        &self,
        snapshot: &mut Snapshot,
        entity: u32,
        words: &Words,
        is_beyond: bool,
    ) {
        let extra = is_beyond.then(|| words.beyond.clone());
        for (series, durations) in
            [(Series::BackendFirstByte, &self.first_byte), (Series::BackendConnect, &self.connect)]
        {
            snapshot.add_histogram(series.into(), entity, extra.clone(), durations.value());
        }
        let sum = |of: fn(&Shard) -> &AtomicU64| {
            self.shards.iter().map(|shard| of(shard).load(Ordering::Relaxed)).sum::<u64>() as f64
        };
        for (series, bytes) in [
            (Series::BackendRequestBytes, sum(|shard| &shard.request_bytes)),
            (Series::BackendResponseBytes, sum(|shard| &shard.response_bytes)),
        ] {
            snapshot.add(series.into(), entity, extra.clone(), bytes);
        }
        let active: i64 =
            self.shards.iter().map(|shard| shard.active.load(Ordering::Relaxed)).sum();
        snapshot.add(Series::BackendActive.into(), entity, extra, active.max(0) as f64);
        self.emit_errors(snapshot, entity, words, is_beyond);
    }

    /// Only those that there were: thirteen zeros twice for each pod would be most of its series.
    fn emit_errors(&self, snapshot: &mut Snapshot, entity: u32, words: &Words, is_beyond: bool) {
        for series in [Series::BackendConnectErrors, Series::BackendErrors] {
            let errors = |shard: &Shard, at: usize| match series {
                Series::BackendConnectErrors => shard.connect_errors[at].load(Ordering::Relaxed),
                _ => shard.errors[at].load(Ordering::Relaxed),
            };
            let sum = |at| self.shards.iter().map(|shard| errors(shard, at)).sum::<u64>();
            if is_beyond {
                let all: u64 = (0..Failure::ALL.len()).map(sum).sum();
                snapshot.add(series.into(), entity, Some(words.beyond.clone()), all as f64);
                continue;
            }
            for (at, labels) in words.failures.iter().enumerate() {
                let count = sum(at);
                if count > 0 {
                    snapshot.add(series.into(), entity, Some(labels.clone()), count as f64);
                }
            }
        }
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
