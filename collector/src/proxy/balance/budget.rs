//! How many requests of a Service may be tried again, so that retries never multiply an overload.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use crate::proxy::settings::Retry;

/// One retry, in the unit that is saved up.
const COST: i64 = 100;
/// For how many seconds' worth the least number of retries is saved up.
const SAVED: i64 = 10;

/// A Service's savings: each request adds a part of a retry, and each second the least number allowed.
#[derive(Debug)]
pub(crate) struct Budget {
    saved: AtomicI64,
    /// Seconds of the proxy's clock up to which the least number was added.
    at: AtomicU64,
}

impl Budget {
    pub(crate) fn new(retry: &Retry, now: u64) -> Self {
        Self { saved: AtomicI64::new(most(retry)), at: AtomicU64::new(now / 1_000_000) }
    }

    /// A request came.
    pub(crate) fn deposit(&self, retry: &Retry) {
        // What is lost when two workers add at once is a part of one retry.
        let saved = self.saved.load(Relaxed);
        if saved < most(retry) {
            self.saved.store(saved + i64::from(retry.budget_percent), Relaxed);
        }
    }

    /// Takes a retry out, if there is one. `now` is microseconds of the proxy's clock.
    pub(crate) fn withdraw(&self, retry: &Retry, now: u64) -> bool {
        let second = now / 1_000_000;
        let passed = second.saturating_sub(self.at.swap(second, Relaxed));
        let earned = i64::try_from(passed)
            .unwrap_or(SAVED)
            .min(SAVED)
            .saturating_mul(i64::from(retry.budget_min) * COST);
        let before = self.saved.load(Relaxed).saturating_add(earned).min(most(retry));
        let enough = before >= COST;
        self.saved.store(if enough { before - COST } else { before }, Relaxed);
        enough
    }
}

fn most(retry: &Retry) -> i64 {
    i64::from(retry.budget_min.max(1)) * COST * SAVED
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_traffic_only_the_least_number_a_second_is_allowed() {
        let retry = Retry { budget_min: 2, ..Retry::default() };
        let budget = Budget::new(&retry, 0);
        let spent = (0..1_000).filter(|_| budget.withdraw(&retry, 0)).count();
        assert_eq!(spent, 20, "what was saved up");
        let spent = (0..1_000).filter(|_| budget.withdraw(&retry, 1_000_000)).count();
        assert_eq!(spent, 2);
    }

    #[test]
    fn traffic_earns_its_percentage() {
        let retry = Retry::default();
        let budget = Budget::new(&retry, 0);
        while budget.withdraw(&retry, 0) {}
        (0..100).for_each(|_| budget.deposit(&retry));
        assert_eq!((0..1_000).filter(|_| budget.withdraw(&retry, 0)).count(), 20);
    }
}
