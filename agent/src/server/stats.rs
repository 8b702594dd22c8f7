//! What the server says about itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use collector::histogram::{self, Histogram};
use collector::labels::{Label, LabelSet};
use collector::schema::Series;
use collector::snapshot::{Contribute, Snapshot};

use crate::export::prometheus::Syntax;

/// Why a request was not served. The `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing has this path.
    NotFound,
    /// The path is there, the method is not.
    MethodNotAllowed,
    /// The request announced a body beyond the bound.
    BodyTooLarge,
    /// The request line and headers went beyond the bound.
    HeadTooLarge,
    /// It was not HTTP/1.
    Malformed,
    /// The TLS handshake failed.
    Handshake,
    /// The TLS handshake took too long.
    HandshakeTimeout,
    /// The client took too long to send its request.
    HeadTimeout,
    /// The client took too long to read its answer.
    AnswerTimeout,
    /// As many connections as are allowed were open.
    TooManyConnections,
    /// As many answers as are allowed were under way, and stayed so.
    Busy,
    /// There has been no tick yet.
    NotReady,
    /// The latest snapshot is too old to be given out.
    Stuck,
    /// The kernel gave no connection: out of files or of memory.
    Accept,
    /// A fault of ours.
    Internal,
}

impl Refusal {
    /// All of them, in the order of the counts.
    pub const ALL: [Self; 15] = [
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::BodyTooLarge,
        Self::HeadTooLarge,
        Self::Malformed,
        Self::Handshake,
        Self::HandshakeTimeout,
        Self::HeadTimeout,
        Self::AnswerTimeout,
        Self::TooManyConnections,
        Self::Busy,
        Self::NotReady,
        Self::Stuck,
        Self::Accept,
        Self::Internal,
    ];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BodyTooLarge => "body_too_large",
            Self::HeadTooLarge => "head_too_large",
            Self::Malformed => "malformed",
            Self::Handshake => "handshake",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::HeadTimeout => "head_timeout",
            Self::AnswerTimeout => "answer_timeout",
            Self::TooManyConnections => "too_many_connections",
            Self::Busy => "busy",
            Self::NotReady => "not_ready",
            Self::Stuck => "stuck",
            Self::Accept => "accept",
            Self::Internal => "internal",
        }
    }
}

/// The `format` label, without the version.
const FORMATS: [&str; 3] = ["text", "openmetrics", "protobuf"];

/// Counts since the start. A clone counts into the same.
#[derive(Clone, Debug)]
pub struct Stats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    scrapes: [Count; FORMATS.len()],
    /// All of them, for whoever keeps something until it was seen.
    all_scrapes: Arc<AtomicU64>,
    refusals: [Count; Refusal::ALL.len()],
    /// Behind an `Arc` of its own, so that a snapshot takes it without copying.
    durations: Mutex<Arc<Histogram>>,
}

/// A count and its label, made once.
#[derive(Debug)]
struct Count {
    label: Arc<LabelSet>,
    value: AtomicU64,
}

impl Count {
    fn new(name: &str, value: &str) -> Self {
        Self {
            label: Arc::new(LabelSet::new(vec![Label::own(name, value)])),
            value: AtomicU64::new(0),
        }
    }

    fn add(&self) {
        self.value.fetch_add(1, Ordering::Relaxed);
    }
}

impl Default for Stats {
    fn default() -> Self {
        Self(Arc::new(Inner {
            scrapes: FORMATS.map(|format| Count::new("format", format)),
            all_scrapes: Arc::default(),
            refusals: Refusal::ALL.map(|reason| Count::new("reason", reason.as_str())),
            durations: Mutex::new(Arc::new(Histogram::new(histogram::SECONDS))),
        }))
    }
}

impl Stats {
    /// How often something was refused for this reason.
    #[must_use]
    pub fn refused(&self, reason: Refusal) -> u64 {
        self.0.refusals[reason as usize].value.load(Ordering::Relaxed)
    }

    /// How many scrapes were answered, as it goes on.
    #[must_use]
    pub fn scrapes(&self) -> Arc<AtomicU64> {
        self.0.all_scrapes.clone()
    }

    pub(super) fn refuse(&self, reason: Refusal) {
        self.0.refusals[reason as usize].add();
    }

    pub(super) fn scrape(&self, syntax: Syntax, took: Duration) {
        let format = match syntax {
            Syntax::Text004 | Syntax::Text100 => 0,
            Syntax::OpenMetrics001 | Syntax::OpenMetrics100 => 1,
            Syntax::Protobuf => 2,
        };
        self.0.scrapes[format].add();
        self.0.all_scrapes.fetch_add(1, Ordering::Relaxed);
        // A poisoned histogram is still a histogram: each observation is whole or not there.
        let mut durations = self.0.durations.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut durations).observe(took.as_secs_f64());
    }
}

impl Contribute for Stats {
    fn contribute(&mut self, snapshot: &mut Snapshot, agent: u32) {
        for (series, counts) in
            [(Series::Scrapes, &self.0.scrapes[..]), (Series::ScrapesRefused, &self.0.refusals[..])]
        {
            for count in counts {
                snapshot.add(
                    series.into(),
                    agent,
                    Some(Arc::clone(&count.label)),
                    count.value.load(Ordering::Relaxed) as f64,
                );
            }
        }
        let durations =
            Arc::clone(&self.0.durations.lock().unwrap_or_else(PoisonError::into_inner));
        snapshot.add_histogram(Series::ScrapeDuration.into(), agent, None, durations);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_and_format_has_a_series_from_the_start() {
        let stats = Stats::default();
        stats.refuse(Refusal::Internal);
        stats.scrape(Syntax::Protobuf, Duration::from_millis(3));
        let mut snapshot = Snapshot::default();
        stats.clone().contribute(&mut snapshot, 0);

        let refusals = snapshot.points(Series::ScrapesRefused.into());
        let reasons: Vec<_> = refusals
            .iter()
            .map(|point| point.extra.as_ref().unwrap().value("reason").unwrap())
            .collect();
        assert_eq!(
            reasons,
            Refusal::ALL.map(Refusal::as_str),
            "the order of ALL is that of the enum"
        );
        assert_eq!(refusals.last().map(|point| point.value), Some(1.0));
        assert_eq!(
            snapshot
                .points(Series::Scrapes.into())
                .iter()
                .map(|point| point.value)
                .collect::<Vec<_>>(),
            [0.0, 0.0, 1.0]
        );
        assert_eq!(snapshot.histograms(Series::ScrapeDuration.into())[0].value.count(), 1);
        assert_eq!(stats.refused(Refusal::Internal), 1);
        assert_eq!(stats.refused(Refusal::Accept), 0);
    }
}
