//! Choosing among backends by weight.

use crate::proxy::service::ServiceKey;

/// Which of these backends a `random` number falls on, each in proportion to its weight; `None` when all weigh nothing.
#[must_use]
pub fn weighted(backends: &[(ServiceKey, u32)], random: u32) -> Option<usize> {
    let total: u128 = backends.iter().map(|(_, weight)| u128::from(*weight)).sum();
    // The random number as a fraction of its range, of the total.
    let mut left = (u128::from(random) * total) >> u32::BITS;
    backends.iter().position(|(_, weight)| {
        let falls_here = left < u128::from(*weight);
        left = left.saturating_sub(u128::from(*weight));
        falls_here
    })
}
