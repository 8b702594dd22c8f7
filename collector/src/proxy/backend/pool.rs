//! Idle connections of one worker to one pod.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::link::Link;

/// The one used last is taken first, so that those that are not needed grow old. Only its worker takes from it; the
/// lock is for others that empty it.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "a connection changes hands with every request, and is large")]
pub(crate) struct Pool {
    idle: Mutex<Vec<Box<Link>>>,
}

impl Pool {
    /// An open connection that was idle for less than `oldest`.
    pub(crate) fn take(&self, oldest: Duration) -> Option<Box<Link>> {
        loop {
            let mut link = self.lock().pop()?;
            if link.idle_since().elapsed() < oldest && link.is_open() {
                return Some(link);
            }
        }
    }

    /// Keeps a connection, unless `most` are kept already.
    pub(crate) fn put(&self, link: Box<Link>, most: usize) {
        let mut idle = self.lock();
        if idle.len() < most {
            idle.push(link);
        }
    }

    /// Closes those that were idle since before `then`.
    pub(crate) fn close_older(&self, then: Instant) {
        let mut idle = self.lock();
        if idle.iter().any(|link| link.idle_since() < then) {
            idle.retain(|link| link.idle_since() >= then);
        }
    }

    /// Closes all.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    #[expect(clippy::vec_box, reason = "see above")]
    fn lock(&self) -> MutexGuard<'_, Vec<Box<Link>>> {
        // A list of connections is whole whatever happened.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
