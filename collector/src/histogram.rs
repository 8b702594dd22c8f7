//! Histograms as a snapshot holds them: counts by fixed bounds and, where there is one, an exponential part.
//!
//! What is measured seldom is counted in a [`Histogram`] itself. What is measured for each request is counted
//! in [`cells`] by many threads at once and becomes a [`Histogram`] when a snapshot is taken.

pub mod cells;

#[cfg(test)]
mod tests;

use std::time::SystemTime;

/// Bounds in seconds from 100 µs to 2.5 s, for ticks and scrapes.
pub const SECONDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// Bounds in seconds that the OpenTelemetry conventions give for the duration of requests.
pub const REQUEST_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Counts by bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One more than there are bounds: the last is everything above.
    counts: Vec<u64>,
    sum: f64,
    exponential: Option<Exponential>,
    exemplar: Option<Exemplar>,
}

/// Counts of the same values by buckets that grow by a constant factor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exponential {
    /// Each doubling is divided into 2^scale buckets: `schema` in Prometheus' words.
    pub scale: i8,
    /// Values that are 0.
    pub zero_count: u64,
    /// The index of the first count. Bucket `i` holds what is above 2^(i / 2^scale) and at most
    /// 2^((i + 1) / 2^scale), as OpenTelemetry numbers them; Prometheus numbers them one higher.
    pub offset: i32,
    /// From the first bucket that is not empty to the last one.
    pub counts: Box<[u64]>,
}

/// One measured value and the trace in which it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// The W3C trace id.
    pub trace: [u8; 16],
    /// The value.
    pub value: f64,
    /// When it was measured.
    pub time: SystemTime,
}

impl Histogram {
    /// An empty one with these upper bounds, in rising order.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        Self::counted(bounds, vec![0; bounds.len() + 1], 0.0)
    }

    /// One that was counted elsewhere: `counts` by bucket, not cumulative, the last being everything above.
    #[must_use]
    pub fn counted(bounds: &'static [f64], mut counts: Vec<u64>, sum: f64) -> Self {
        counts.resize(bounds.len() + 1, 0);
        Self { bounds, counts, sum, exponential: None, exemplar: None }
    }

    /// With the same values in exponential buckets.
    #[must_use]
    pub fn with_exponential(mut self, exponential: Exponential) -> Self {
        self.exponential = Some(exponential);
        self
    }

    /// With a value to show.
    #[must_use]
    pub fn with_exemplar(mut self, exemplar: Option<Exemplar>) -> Self {
        self.exemplar = exemplar;
        self
    }

    /// Counts one value. A value on a bound belongs below it, as Prometheus' `le` says.
    ///
    /// Not for one with an exponential part, which would no longer count the same values.
    pub fn observe(&mut self, value: f64) {
        debug_assert!(self.exponential.is_none());
        let at = self.bucket(value);
        self.counts[at] += 1;
        self.sum += value;
    }

    /// Upper bounds and how many values were at or below each, the last being +Inf.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().scan(0, |total, count| {
            *total += count;
            Some(*total)
        }))
    }

    /// How many values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The exponential part, if there is one.
    #[must_use]
    pub fn exponential(&self) -> Option<&Exponential> {
        self.exponential.as_ref()
    }

    /// A value to show, and the place of its bucket in [`Self::cumulative`].
    #[must_use]
    pub fn exemplar(&self) -> Option<(usize, &Exemplar)> {
        let exemplar = self.exemplar.as_ref()?;
        Some((self.bucket(exemplar.value), exemplar))
    }

    fn bucket(&self, value: f64) -> usize {
        self.bounds.partition_point(|bound| *bound < value)
    }
}

impl Exemplar {
    /// The trace id as `traceparent` writes it.
    #[must_use]
    pub fn trace_text(&self) -> [u8; 32] {
        trace_text(self.trace)
    }
}

/// A W3C trace id in hexadecimal digits.
pub(crate) fn trace_text(trace: [u8; 16]) -> [u8; 32] {
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(trace) {
        let digit = |half: u8| b"0123456789abcdef"[usize::from(half)];
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    text
}
