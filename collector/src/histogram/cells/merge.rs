//! What all threads counted, added up for a snapshot.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::{Exemplar, Exponential, Histogram, REQUEST_SECONDS};
use super::Cells;
use super::bounds::{CELLS, CLASSIC, FIRST, SCALE, TABLE};

/// The sum of shards as the last snapshot has it, which the next one takes again if nothing was counted since.
#[derive(Debug, Default)]
pub struct Merged {
    micros: u64,
    zeros: u64,
    value: Option<Arc<Histogram>>,
}

impl Merged {
    /// The sum of these shards; the same `Arc` as before when they counted nothing since.
    pub fn update<'a>(
        &mut self,
        shards: impl Iterator<Item = &'a Cells> + Clone,
        exemplar: impl FnOnce() -> Option<Exemplar>,
    ) -> Arc<Histogram> {
        // Read before the cells: a count that comes in between is there again the next time, not lost.
        let (mut micros, mut zeros) = (0_u64, 0_u64);
        for shard in shards.clone() {
            micros = micros.wrapping_add(shard.micros.load(Ordering::Acquire));
            zeros = zeros.wrapping_add(shard.zeros());
        }
        if let Some(value) = &self.value
            && (micros, zeros) == (self.micros, self.zeros)
        {
            return value.clone();
        }
        let mut cells = [0; CELLS];
        shards.for_each(|shard| shard.add_to(&mut cells));
        let value = Arc::new(histogram(&cells, micros).with_exemplar(exemplar()));
        *self = Self { micros, zeros, value: Some(value.clone()) };
        value
    }
}

fn histogram(cells: &[u64; CELLS], micros: u64) -> Histogram {
    let mut classic = vec![0; CLASSIC];
    for (count, bucket) in cells.iter().zip(TABLE.classic) {
        classic[usize::from(bucket)] += count;
    }
    Histogram::counted(REQUEST_SECONDS, classic, micros as f64 / 1e6)
        .with_exponential(exponential(cells))
}

fn exponential(cells: &[u64; CELLS]) -> Exponential {
    let (zero_count, cells) = (cells[0], &cells[1..]);
    let buckets = &TABLE.exponential[1..];
    let touched = |count: &u64| *count > 0;
    let (first, counts) = match (cells.iter().position(touched), cells.iter().rposition(touched)) {
        (Some(first), Some(last)) => {
            let base = buckets[first];
            let mut counts = vec![0; usize::from(buckets[last] - base) + 1];
            for (count, bucket) in cells[first..=last].iter().zip(&buckets[first..=last]) {
                counts[usize::from(bucket - base)] += count;
            }
            (FIRST + i32::from(base), counts)
        }
        _ => (0, Vec::new()),
    };
    Exponential { scale: SCALE, zero_count, offset: first, counts: counts.into() }
}
