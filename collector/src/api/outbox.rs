//! What is to be written to the API server, on its way to whoever writes it. Best effort and bounded.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Things that wait unless said otherwise; further ones are forgotten.
const MAX_WAITING: usize = 100;

/// A queue between the one that knows and the one that writes.
#[derive(Debug)]
pub(crate) struct Outbox<T> {
    most: usize,
    waiting: Mutex<VecDeque<T>>,
    filled: Notify,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self::of(MAX_WAITING)
    }
}

impl<T> Outbox<T> {
    /// One in which at most so many things wait.
    pub(crate) fn of(most: usize) -> Self {
        Self { most, waiting: Mutex::default(), filled: Notify::new() }
    }
}

impl<T: PartialEq> Outbox<T> {
    /// Adds it, unless it waits already. Whether there was room.
    pub(crate) fn push(&self, item: T) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = waiting.len() < self.most;
        if has_room && !waiting.contains(&item) {
            waiting.push_back(item);
            self.filled.notify_one();
        }
        has_room
    }

    /// The oldest, once there is one.
    pub(crate) async fn next(&self) -> T {
        loop {
            if let Some(item) = self.pop() {
                return item;
            }
            self.filled.notified().await;
        }
    }

    pub(crate) fn pop(&self) -> Option<T> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
