//! Microseconds since the proxy's start: small enough for an atomic.

use std::sync::LazyLock;
use std::time::Instant;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Microseconds of this clock now.
pub(crate) fn now() -> u64 {
    micros(Instant::now())
}

/// Microseconds between the first use of this clock and `at`; 0 for what was before.
pub(crate) fn micros(at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(*START).as_micros()).unwrap_or(u64::MAX)
}
