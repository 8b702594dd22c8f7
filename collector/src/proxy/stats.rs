//! What was measured: by pod, by route and by the proxy itself.
//!
//! Written by the workers without a lock, each to its own shard; added up when a snapshot is taken.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use http::{Method, StatusCode};

use super::failure::Failure;
use super::refusal::Refusal;
use super::route::Route;
use crate::labels::LabelSet;

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
struct Inner;

impl Stats {
    /// For this many workers and at most this many series of requests. `scrapes` counts what was served of
    /// `/metrics`: a gone pod's series stay until two more were.
    #[must_use]
    pub fn new(
        _node: &Arc<str>,
        _workers: usize,
        _series: usize,
        _scrapes: Arc<AtomicU64>,
    ) -> Self {
        Self(Arc::new(Inner))
    }

    /// A pod's counts; the same ones for the same id, under its present labels.
    #[must_use]
    pub fn backend(&self, _id: &str, _labels: Arc<LabelSet>) -> Arc<BackendStats> {
        Arc::new(BackendStats)
    }

    /// A route's counts; the same ones for the same origin, host and path.
    #[must_use]
    pub fn route(&self, _route: &Route) -> Arc<RouteStats> {
        Arc::new(RouteStats)
    }

    /// Counts what the proxy refused.
    pub fn refused(&self, _worker: usize, _reason: Refusal) {}
}

/// A pod's counts. Its series end when nobody holds it any more, after two more scrapes.
#[derive(Debug)]
pub struct BackendStats;

impl BackendStats {
    /// A connection was made, or was not.
    pub fn connected(&self, _worker: usize, _took: Duration, _outcome: Result<(), Failure>) {}
    /// An attempt begins.
    pub fn began(&self, _worker: usize) {}
    /// An attempt that began tells nothing: the request was not sent.
    pub fn abandoned(&self, _worker: usize) {}
    /// An attempt ended.
    pub fn ended(&self, _worker: usize, _route: &RouteStats, _attempt: &Attempt<'_>) {}
}

/// A route's counts.
#[derive(Debug)]
pub struct RouteStats;

impl RouteStats {
    /// A request begins.
    pub fn began(&self, _worker: usize) {}
    /// A request ended.
    pub fn ended(&self, _worker: usize, _request: &Request<'_>) {}
    /// It was tried again.
    pub fn retried(&self, _worker: usize) {}
}
