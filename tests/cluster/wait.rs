//! Waiting for a condition, never for a time.

use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at the condition.
const PAUSE: Duration = Duration::from_millis(100);

/// Looks until there is something, or fails with what was waited for.
pub(crate) fn until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {} s in vain: {what}", patience.as_secs());
        thread::sleep(PAUSE);
    }
}
