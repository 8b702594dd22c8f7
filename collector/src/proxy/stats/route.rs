//! What is known of one route.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use http::StatusCode;

use super::Request;
use super::base::Base;
use super::budget::Place;
use super::combinations::Combinations;
use super::durations::Durations;
use super::words::{Told, Verb, Words};
use crate::histogram::cells::Shards;
use crate::schema::Series;
use crate::snapshot::Snapshot;

/// A route's counts.
#[derive(Debug)]
pub struct RouteStats {
    base: Arc<Base>,
    /// The path's template and its number: the same for all routes that have the same one, since a pod's
    /// series do not tell such routes apart.
    template: (u32, Arc<str>),
    /// As a pod's.
    own: OnceLock<Option<Box<Own>>>,
}

#[derive(Debug)]
struct Own {
    totals: Totals,
    requests: Combinations<Key>,
    _place: Place,
}

/// What is not told by method and status.
#[derive(Debug)]
pub(super) struct Totals {
    shards: Shards<Shard>,
    added: Durations,
}

#[derive(Debug, Default)]
struct Shard {
    /// Begun and not ended; below zero where a worker ended what another began.
    active: AtomicI64,
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    retries: AtomicU64,
}

/// Tells a route's combinations apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    verb: Verb,
    status: StatusCode,
    error: Option<&'static str>,
}

impl RouteStats {
    pub(super) fn new(base: Arc<Base>, template: (u32, Arc<str>)) -> Self {
        Self { base, template, own: OnceLock::new() }
    }

    /// A request begins.
    pub fn began(&self, worker: usize) {
        let (totals, _) = self.places();
        totals.shards.of(worker).active.fetch_add(1, Ordering::Relaxed);
    }

    /// A request ended.
    pub fn ended(&self, worker: usize, request: &Request<'_>) {
        let (totals, own) = self.places();
        let shard = totals.shards.of(worker);
        shard.active.fetch_sub(1, Ordering::Relaxed);
        shard.request_bytes.fetch_add(request.request_bytes, Ordering::Relaxed);
        shard.response_bytes.fetch_add(request.response_bytes, Ordering::Relaxed);
        totals.added.record(worker, request.added, request.trace);
        let record = |known: Option<&Durations>| {
            let durations = known.unwrap_or(&self.base.beyond.requests);
            durations.record(worker, request.total, request.trace);
        };
        let Some(own) = own else { return record(None) };
        let Request { status, error, .. } = *request;
        let verb = Verb::of(request.method);
        let labels = || {
            let told = Told { verb, status: Some(status), error, route: None };
            self.base.words.combination(&told)
        };
        own.requests.with(Key { verb, status, error }, &self.base, labels, record);
    }

    /// It was tried again.
    pub fn retried(&self, worker: usize) {
        let (totals, _) = self.places();
        totals.shards.of(worker).retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Its number and text.
    pub(super) fn template(&self) -> (u32, &Arc<str>) {
        (self.template.0, &self.template.1)
    }

    /// Where to count, and the route's own counts if it has any.
    #[inline]
    fn places(&self) -> (&Totals, Option<&Own>) {
        let own = self.own.get_or_init(|| {
            let place = self.base.budget.take()?;
            let totals = Totals::new(self.base.threads);
            Some(Box::new(Own { totals, requests: Combinations::new(), _place: place }))
        });
        match own {
            Some(own) => (&own.totals, Some(own)),
            None => (&self.base.beyond.routes, None),
        }
    }

    /// Adds what is the route's own to the entity that `entity` makes, if there is anything.
    pub(super) fn emit(&self, snapshot: &mut Snapshot, entity: impl FnOnce(&mut Snapshot) -> u32) {
        let Some(Some(own)) = self.own.get() else { return };
        let entity = entity(snapshot);
        own.requests.emit(snapshot, Series::RouteDuration, entity);
        own.totals.emit(snapshot, entity, &self.base.words, false);
    }
}

impl Totals {
    pub(super) fn new(threads: usize) -> Self {
        Self { shards: Shards::new(threads), added: Durations::new(threads) }
    }

    pub(super) fn is_unused(&self) -> bool {
        self.shards.is_unused()
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
        let sum = |of: fn(&Shard) -> &AtomicU64| {
            self.shards.iter().map(|shard| of(shard).load(Ordering::Relaxed)).sum::<u64>() as f64
        };
        let active: i64 =
            self.shards.iter().map(|shard| shard.active.load(Ordering::Relaxed)).sum();
        for (series, value) in [
            (Series::RouteActive, active.max(0) as f64),
            (Series::RouteRequestBytes, sum(|shard| &shard.request_bytes)),
            (Series::RouteResponseBytes, sum(|shard| &shard.response_bytes)),
            (Series::RouteRetries, sum(|shard| &shard.retries)),
        ] {
            snapshot.add(series.into(), entity, extra.clone(), value);
        }
        snapshot.add_histogram(Series::RouteAdded.into(), entity, extra, self.added.value());
    }
}
