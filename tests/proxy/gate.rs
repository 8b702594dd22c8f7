//! Lets a test say when a pod goes on.

use std::sync::{Arc, Condvar, Mutex};

use crate::running::LIMIT;

/// Closed at first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Lets pass whoever waits and will wait.
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open.
    pub(crate) fn wait(&self) {
        let is_open = self.0.0.lock().unwrap();
        let (is_open, _) =
            self.0.1.wait_timeout_while(is_open, LIMIT, |is_open| !*is_open).unwrap();
        assert!(*is_open, "nobody opened the gate");
    }
}
