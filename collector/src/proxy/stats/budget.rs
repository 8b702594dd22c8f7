//! How many series there may be: every pod, route and combination takes one place, and gives it back at its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Places for series.
#[derive(Debug)]
pub(super) struct Budget {
    most: usize,
    taken: AtomicUsize,
}

/// A place; dropped, it is free again.
#[derive(Debug)]
pub(super) struct Place(Arc<Budget>);

impl Budget {
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: AtomicUsize::new(0) }
    }

    /// Whether there is nothing to be had: lets a request beyond the budget pass without waiting for anyone.
    pub(super) fn is_spent(&self) -> bool {
        self.taken.load(Ordering::Relaxed) >= self.most
    }

    pub(super) fn take(self: &Arc<Self>) -> Option<Place> {
        let more = |taken: usize| (taken < self.most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Place(self.clone()))
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}
