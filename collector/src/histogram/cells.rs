//! Durations counted by many threads at once, in cells from which both kinds of buckets are made up.
//!
//! The bounds of the conventions' buckets and of the exponential ones (base 2, scale 3, from 1 µs to 2^10 s)
//! cut the line into pieces. Each piece lies in exactly one bucket of either kind, so one count
//! serves both, and both are exact and always agree on the total: a scraper refuses a native histogram
//! whose count is not the sum of its buckets. The arithmetic is that of whole nanoseconds.

mod bounds;
mod merge;

#[cfg(test)]
mod tests;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use merge::Merged;

use bounds::CELLS;

/// Cells that are allocated together. A pod's answers take a few doublings, not all thirty: of the eight
/// pages two or three are ever touched, and 256 bytes each are four cache lines.
const PAGE: usize = 32;
const PAGES: usize = CELLS.div_ceil(PAGE);

/// More threads than this share shards: memory would grow with the cores of the node, and eight are enough
/// that two seldom meet.
const MOST_SHARDS: usize = 8;

/// What one thread counted.
#[derive(Debug, Default)]
pub struct Cells {
    /// In whole microseconds, at least one for a value above zero, so that it grows with each: it tells the
    /// reader whether there is anything new. Nanoseconds would wrap within months of long-lived requests.
    micros: AtomicU64,
    pages: [OnceLock<Box<[AtomicU64; PAGE]>>; PAGES],
}

impl Cells {
    /// Counts one duration; waits for nobody, and allocates only when a page is touched for the first time.
    pub fn observe(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let cell = bounds::cell(nanos);
        let page = self.pages[cell / PAGE].get_or_init(Box::default);
        page[cell % PAGE].fetch_add(1, Ordering::Relaxed);
        // Released after the count, so that who sees this sum sees the count too.
        self.micros.fetch_add(micros(nanos), Ordering::Release);
    }

    fn zeros(&self) -> u64 {
        self.pages[0].get().map_or(0, |page| page[0].load(Ordering::Relaxed))
    }

    fn add_to(&self, counts: &mut [u64; CELLS]) {
        for (page, counts) in self.pages.iter().zip(counts.chunks_mut(PAGE)) {
            let Some(page) = page.get() else { continue };
            for (cell, count) in page.iter().zip(counts) {
                *count += cell.load(Ordering::Relaxed);
            }
        }
    }
}

/// Rounded to the nearest, but never to nothing.
fn micros(nanos: u64) -> u64 {
    if nanos == 0 { 0 } else { (nanos.saturating_add(500) / 1000).max(1) }
}

/// One `T` for each thread that counts, made when the thread first does.
#[derive(Debug)]
pub struct Shards<T>(Box<[OnceLock<Box<T>>]>);

impl<T: Default> Shards<T> {
    /// For this many threads.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        // A power of two, so that a thread finds its own by a mask.
        let shards = threads.clamp(1, MOST_SHARDS).next_power_of_two();
        Self((0..shards).map(|_| OnceLock::new()).collect())
    }

    /// The thread's own.
    #[inline]
    pub fn of(&self, thread: usize) -> &T {
        self.0[thread & (self.0.len() - 1)].get_or_init(Box::default)
    }

    /// Those that were ever used.
    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.0.iter().filter_map(|shard| shard.get().map(|shard| &**shard))
    }

    /// Whether none was ever used.
    #[must_use]
    pub fn is_unused(&self) -> bool {
        self.iter().next().is_none()
    }
}
