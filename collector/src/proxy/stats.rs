//! What was measured: by pod, by route and by the proxy itself.
//!
//! Written by the workers without a lock, each to its own shard; added up when a snapshot is taken. What is
//! known of a pod is in `backend`, of a route in `route`; each has a table of histograms by method and status in
//! `combinations`, all of them together within one `budget`. The `registry` knows how long they stay.

mod backend;
mod base;
mod budget;
mod combinations;
mod contribute;
mod durations;
mod registry;
mod route;
mod words;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::{Method, StatusCode};

pub use backend::BackendStats;
pub use route::RouteStats;

use super::failure::Failure;
use super::refusal::Refusal;
use super::route::Route;
use crate::histogram::cells::Shards;
use crate::labels::LabelSet;
use base::Base;
use registry::Registry;

/// A W3C trace id, for exemplars.
pub type TraceId = [u8; 16];

/// How a request to a pod ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer came whole.
    Answered(StatusCode),
    /// It failed; with the status if the answer had begun.
    Failed(Failure, Option<StatusCode>),
}

/// One attempt at a pod, measured.
#[derive(Clone, Debug)]
pub struct Attempt<'a> {
    /// As the client sent it; unknown ones are counted as `_OTHER`.
    pub method: &'a Method,
    /// How it ended.
    pub outcome: Outcome,
    /// From the moment a connection was to be had until the head of the answer.
    pub first_byte: Option<Duration>,
    /// From then until the last byte of the answer, or the failure.
    pub total: Duration,
    /// Bytes of the request's body that were sent.
    pub request_bytes: u64,
    /// Bytes of the answer's body that came.
    pub response_bytes: u64,
    /// Of the request's `traceparent`, if it has one that is sampled.
    pub trace: Option<TraceId>,
}

/// One request, as the client saw it.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// As the client sent it.
    pub method: &'a Method,
    /// What the client was answered.
    pub status: StatusCode,
    /// Why the proxy answered itself or the answer is not whole.
    pub error: Option<&'static str>,
    /// From the head of the request until the last byte of the answer was taken.
    pub total: Duration,
    /// What of it the proxy itself added: all that was not spent waiting for a pod or for the client.
    pub added: Duration,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the answer's body.
    pub response_bytes: u64,
    /// For exemplars.
    pub trace: Option<TraceId>,
}

/// Everything measured. A clone measures into the same.
#[derive(Clone, Debug)]
pub struct Stats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    base: Arc<Base>,
    refused: Shards<Refused>,
    scrapes: Arc<AtomicU64>,
    /// Taken when routes and pods change and when a snapshot is taken, never for a request.
    registry: Mutex<Registry>,
}

/// By [`Refusal`].
#[derive(Debug)]
struct Refused([AtomicU64; Refusal::ALL.len()]);

impl Default for Refused {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Stats {
    /// For this many workers and at most this many series of requests. `scrapes` counts what was served of
    /// `/metrics`: a gone pod's series stay until two more were.
    #[must_use]
    pub fn new(node: &Arc<str>, workers: usize, series: usize, scrapes: Arc<AtomicU64>) -> Self {
        Self(Arc::new(Inner {
            base: Arc::new(Base::new(node.clone(), workers, series)),
            refused: Shards::new(workers),
            scrapes,
            registry: Mutex::default(),
        }))
    }

    /// A pod's counts; the same ones for the same id, under its present labels.
    #[must_use]
    pub fn backend(&self, id: &str, labels: Arc<LabelSet>) -> Arc<BackendStats> {
        self.0.registry().backend(&self.0.base, id, labels, SystemTime::now())
    }

    /// A route's counts; the same ones for the same origin, host and path.
    #[must_use]
    pub fn route(&self, route: &Route) -> Arc<RouteStats> {
        self.0.registry().route(&self.0.base, route, SystemTime::now())
    }

    /// Counts what the proxy refused.
    pub fn refused(&self, worker: usize, reason: Refusal) {
        self.0.refused.of(worker).0[reason as usize].fetch_add(1, Ordering::Relaxed);
    }
}

impl Inner {
    /// A panic elsewhere leaves the registry whole: each change to it is one insertion or removal.
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
