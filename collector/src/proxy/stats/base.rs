//! What all pods' and routes' counts share: the budget, the words of labels, and where everything goes that
//! finds no place within the budget.

use std::sync::Arc;

use super::budget::Budget;
use super::durations::Durations;
use super::words::Words;
use super::{backend, route};

/// One for all.
#[derive(Debug)]
pub(super) struct Base {
    /// How many threads count.
    pub(super) threads: usize,
    pub(super) budget: Arc<Budget>,
    pub(super) words: Words,
    pub(super) beyond: Beyond,
}

/// One series of each family, for all that is beyond the budget.
#[derive(Debug)]
pub(super) struct Beyond {
    pub(super) backends: backend::Totals,
    pub(super) attempts: Durations,
    pub(super) routes: route::Totals,
    pub(super) requests: Durations,
}

impl Base {
    pub(super) fn new(node: Arc<str>, threads: usize, series: usize) -> Self {
        Self {
            threads,
            budget: Arc::new(Budget::new(series)),
            words: Words::new(node),
            beyond: Beyond {
                backends: backend::Totals::new(threads),
                attempts: Durations::new(threads),
                routes: route::Totals::new(threads),
                requests: Durations::new(threads),
            },
        }
    }
}
