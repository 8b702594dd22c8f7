//! One histogram of durations with its latest exemplar.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use super::TraceId;
use crate::histogram::cells::{Cells, Merged, Shards};
use crate::histogram::{Exemplar, Histogram};

/// At most one exemplar in this time: more would only cost, since a scrape takes one.
const PAUSE_MILLIS: u64 = 1_000;

/// Counted by all workers.
#[derive(Debug)]
pub(super) struct Durations {
    shards: Shards<Cells>,
    exemplar: Latest,
    /// Only whoever takes a snapshot locks it.
    merged: Mutex<Merged>,
}

impl Durations {
    pub(super) fn new(threads: usize) -> Self {
        Self { shards: Shards::new(threads), exemplar: Latest::default(), merged: Mutex::default() }
    }

    #[inline]
    pub(super) fn record(&self, worker: usize, took: Duration, trace: Option<TraceId>) {
        // Before the count, by which the reader knows that there is something new.
        if let Some(trace) = trace {
            self.exemplar.offer(trace, took, SystemTime::now());
        }
        self.shards.of(worker).observe(took);
    }

    pub(super) fn is_unused(&self) -> bool {
        self.shards.is_unused()
    }

    /// Everything counted so far; the same `Arc` as before if nothing was counted since.
    pub(super) fn value(&self) -> Arc<Histogram> {
        let mut merged = self.merged.lock().unwrap_or_else(PoisonError::into_inner);
        merged.update(self.shards.iter(), || self.exemplar.get())
    }
}

/// The latest exemplar.
#[derive(Debug, Default)]
struct Latest {
    /// When it was taken, in milliseconds of Unix time.
    millis: AtomicU64,
    /// Made with the first one: most histograms never have one.
    exemplar: OnceLock<Box<Mutex<Exemplar>>>,
}

impl Latest {
    /// Takes it unless the last is too young or somebody is at it this very moment: it never waits.
    fn offer(&self, trace: TraceId, took: Duration, time: SystemTime) {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let last = self.millis.load(Ordering::Relaxed);
        // Either way, since the clock may be set back.
        let is_too_young = last.abs_diff(millis) < PAUSE_MILLIS;
        if is_too_young
            || self
                .millis
                .compare_exchange(last, millis, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        let new = Exemplar { trace, value: took.as_secs_f64(), time };
        let exemplar = self.exemplar.get_or_init(|| Box::new(Mutex::new(new)));
        if let Ok(mut exemplar) = exemplar.try_lock() {
            *exemplar = new;
        }
    }

    fn get(&self) -> Option<Exemplar> {
        Some(*self.exemplar.get()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_exemplar_a_second_is_taken_and_a_clock_set_back_does_not_stop_them() {
        let latest = Latest::default();
        let offer = |trace: u8, millis: u64| {
            let time = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
            latest.offer([trace; 16], Duration::from_millis(5), time);
            latest.get().unwrap().trace[0]
        };
        assert_eq!(offer(1, 10_000), 1);
        assert_eq!(offer(2, 10_999), 1, "too young");
        assert_eq!(offer(3, 11_000), 3);
        assert_eq!(offer(4, 2_000), 4, "set back");
        assert!((latest.get().unwrap().value - 0.005).abs() < f64::EPSILON);
    }

    #[test]
    fn exemplar_that_somebody_reads_is_not_waited_for() {
        let latest = Latest::default();
        let at = |secs| SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
        latest.offer([1; 16], Duration::ZERO, at(10));
        let held = latest.exemplar.get().unwrap().lock().unwrap();
        latest.offer([2; 16], Duration::ZERO, at(20));
        assert_eq!(held.trace, [1; 16]);
    }
}
