//! What is counted of reviews and refusals. Every reason has its series from the start.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use collector::labels::{Label, LabelSet};
use collector::schema::Series;
use collector::snapshot::{Contribute, Snapshot};

use super::cache::Verdict;

/// Why somebody had no access. The `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Reason {
    /// No bearer token, where one would do.
    NoToken,
    /// `Authorization` that is no bearer token, or several.
    MalformedToken,
    /// A token that the API server does not know, or no longer.
    UnknownToken,
    /// The token's owner has no right to it.
    Forbidden,
    /// The API server could not be asked.
    Unavailable,
    /// No client certificate, where only that would do.
    NoCertificate,
    /// A client certificate that is not trusted or revoked; the handshake failed.
    BadCertificate,
    /// A connection that was cut since its client's certificate is no longer good.
    Revoked,
}

impl Reason {
    /// All of them, in the order of the counts.
    pub(in crate::server) const ALL: [Self; 8] = [
        Self::NoToken,
        Self::MalformedToken,
        Self::UnknownToken,
        Self::Forbidden,
        Self::Unavailable,
        Self::NoCertificate,
        Self::BadCertificate,
        Self::Revoked,
    ];

    /// The label value.
    pub(in crate::server) fn as_str(self) -> &'static str {
        match self {
            Self::NoToken => "no_token",
            Self::MalformedToken => "malformed_token",
            Self::UnknownToken => "unknown_token",
            Self::Forbidden => "forbidden",
            Self::Unavailable => "unavailable",
            Self::NoCertificate => "no_certificate",
            Self::BadCertificate => "bad_certificate",
            Self::Revoked => "revoked",
        }
    }
}

/// What came of a review. The `outcome` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Outcome {
    /// The owner may.
    Allowed,
    /// The owner may not.
    Forbidden,
    /// The token is nobody's.
    Unknown,
    /// The API server is away, and an earlier yes holds.
    Held,
    /// The API server is away.
    Unreachable,
    /// The API server does not let Podmeter ask.
    Refused,
    /// Anything else, such as an answer that is not understood.
    Failed,
}

impl Outcome {
    /// All of them, in the order of the counts.
    pub(in crate::server) const ALL: [Self; 7] = [
        Self::Allowed,
        Self::Forbidden,
        Self::Unknown,
        Self::Held,
        Self::Unreachable,
        Self::Refused,
        Self::Failed,
    ];

    pub(super) fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Allowed => Self::Allowed,
            Verdict::Forbidden(_) => Self::Forbidden,
            Verdict::Unknown => Self::Unknown,
        }
    }

    /// The label value.
    pub(in crate::server) fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Forbidden => "forbidden",
            Self::Unknown => "unknown_token",
            Self::Held => "held",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Counts since the start. A clone counts into the same.
#[derive(Clone, Debug)]
pub(in crate::server) struct Stats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    refusals: [Count; Reason::ALL.len()],
    reviews: [Count; Outcome::ALL.len()],
}

#[derive(Debug)]
struct Count {
    label: Arc<LabelSet>,
    value: AtomicU64,
}

impl Count {
    fn new(name: &str, value: &str) -> Self {
        let label = Arc::new(LabelSet::new(vec![Label::own(name, value)]));
        Self { label, value: AtomicU64::new(0) }
    }
}

impl Default for Stats {
    fn default() -> Self {
        Self(Arc::new(Inner {
            refusals: Reason::ALL.map(|reason| Count::new("reason", reason.as_str())),
            reviews: Outcome::ALL.map(|outcome| Count::new("outcome", outcome.as_str())),
        }))
    }
}

impl Stats {
    pub(in crate::server) fn refuse(&self, reason: Reason) {
        self.0.refusals[reason as usize].value.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn reviewed(&self, outcome: Outcome) {
        self.0.reviews[outcome as usize].value.fetch_add(1, Ordering::Relaxed);
    }

    /// How many reviews came to this.
    #[cfg(test)]
    pub(super) fn reviews(&self, outcome: Outcome) -> u64 {
        self.0.reviews[outcome as usize].value.load(Ordering::Relaxed)
    }
}

impl Contribute for Stats {
    fn contribute(&mut self, snapshot: &mut Snapshot, agent: u32) {
        for (series, counts) in [
            (Series::AccessRefusals, &self.0.refusals[..]),
            (Series::AccessReviews, &self.0.reviews[..]),
        ] {
            for Count { label, value } in counts {
                let value = value.load(Ordering::Relaxed) as f64;
                snapshot.add(series.into(), agent, Some(label.clone()), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_and_outcome_has_a_series_from_the_start() {
        let stats = Stats::default();
        stats.refuse(Reason::Revoked);
        stats.reviewed(Outcome::Failed);
        let mut snapshot = Snapshot::default();
        stats.clone().contribute(&mut snapshot, 0);
        let told = |series: Series, name: &str| -> Vec<(String, f64)> {
            let points = snapshot.points(series.into());
            let label = |extra: &Option<Arc<LabelSet>>| {
                extra.as_ref().unwrap().value(name).unwrap().to_owned()
            };
            points.iter().map(|point| (label(&point.extra), point.value)).collect()
        };
        let expected = |names: &[&str]| -> Vec<(String, f64)> {
            let last = names.len() - 1;
            let value = |at| f64::from(u8::from(at == last));
            names.iter().enumerate().map(|(at, name)| ((*name).to_owned(), value(at))).collect()
        };
        assert_eq!(
            told(Series::AccessRefusals, "reason"),
            expected(&Reason::ALL.map(Reason::as_str)),
            "the order of ALL is that of the enum"
        );
        assert_eq!(
            told(Series::AccessReviews, "outcome"),
            expected(&Outcome::ALL.map(Outcome::as_str))
        );
    }
}
