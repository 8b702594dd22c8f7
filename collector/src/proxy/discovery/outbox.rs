//! What is to be written to the API server, on its way to whoever writes it. Best effort and bounded.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Things that wait; further ones are forgotten.
const MAX_WAITING: usize = 100;

/// A queue between the one that knows and the one that writes.
#[derive(Debug)]
pub(super) struct Outbox<T> {
    waiting: Mutex<VecDeque<T>>,
    filled: Notify,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), filled: Notify::new() }
    }
}

impl<T: PartialEq> Outbox<T> {
    /// Adds it, unless it waits already.
    pub(super) fn push(&self, item: T) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MAX_WAITING && !waiting.contains(&item) {
            waiting.push_back(item);
            self.filled.notify_one();
        }
    }

    /// The oldest, once there is one.
    pub(super) async fn next(&self) -> T {
        loop {
            if let Some(item) = self.pop() {
                return item;
            }
            self.filled.notified().await;
        }
    }

    pub(super) fn pop(&self) -> Option<T> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
