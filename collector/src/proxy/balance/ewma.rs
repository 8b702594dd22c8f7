//! How slow a pod was lately: a moving average that rises at once and falls slowly.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Time in which an old observation loses all but 1/e of its weight.
const DECAY: f64 = 10.0;
/// What a pod is thought to take before it has answered anything, in seconds. Not zero, so that a new pod is
/// not given all the traffic at once.
const DEFAULT: f64 = 0.03;
/// What no pod is thought to be faster than: below it only the requests under way decide, so that pods nobody asked for
/// a while are not worlds apart.
const LEAST: f64 = 0.001;

/// Peak-EWMA of the time to the first byte. Workers write without a lock; a lost update costs one observation.
#[derive(Debug)]
pub(crate) struct PeakEwma {
    /// Seconds, as the bits of an `f64`.
    value: AtomicU64,
    /// When it was written, in microseconds of the proxy's clock.
    at: AtomicU64,
}

impl PeakEwma {
    /// Of a pod that is known from now on, in microseconds of the proxy's clock.
    pub(crate) fn new(now: u64) -> Self {
        Self { value: AtomicU64::new(DEFAULT.to_bits()), at: AtomicU64::new(now) }
    }

    /// Takes in one observation. `now` is microseconds of the proxy's clock.
    pub(crate) fn observe(&self, now: u64, took: Duration) {
        let took = took.as_secs_f64();
        let old = f64::from_bits(self.value.load(Relaxed));
        let new = if took > old {
            took
        } else {
            let weight = self.weight(now);
            old * weight + took * (1.0 - weight)
        };
        self.value.store(new.to_bits(), Relaxed);
        self.at.store(now, Relaxed);
    }

    /// Seconds expected of the next request. Falls with time, so that a pod that was slow is tried again.
    pub(crate) fn seconds(&self, now: u64) -> f64 {
        (f64::from_bits(self.value.load(Relaxed)) * self.weight(now)).max(LEAST)
    }

    fn weight(&self, now: u64) -> f64 {
        let age = now.saturating_sub(self.at.load(Relaxed));
        (-(age as f64) / (DECAY * 1e6)).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn rises_at_once_and_falls_slowly() {
        let ewma = PeakEwma::new(0);
        ewma.observe(1_000, 100 * MS);
        assert!((ewma.seconds(1_000) - 0.1).abs() < 1e-9);
        ewma.observe(2_000, MS);
        assert!(ewma.seconds(2_000) > 0.099, "one fast answer does not redeem a slow one");
        for second in 1..120 {
            ewma.observe(second * 1_000_000, MS);
        }
        assert!(ewma.seconds(120_000_000) < 0.002);
    }

    #[test]
    fn silence_forgives() {
        let ewma = PeakEwma::new(0);
        ewma.observe(0, 1_000 * MS);
        assert!(ewma.seconds(60_000_000) < 0.01);
    }

    #[test]
    fn a_new_pod_is_not_taken_for_the_fastest_of_all() {
        let hour = 3_600_000_000;
        let (new, old) = (PeakEwma::new(hour), PeakEwma::new(0));
        old.observe(hour, 2 * MS);
        assert!(new.seconds(hour) > old.seconds(hour));
        assert!((old.seconds(2 * hour) - LEAST).abs() < 1e-12, "requests under way still count");
    }
}
