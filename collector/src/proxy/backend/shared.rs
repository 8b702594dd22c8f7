//! One HTTP/2 connection of one worker to one pod, shared by requests.

use std::sync::{Mutex, PoisonError};

use hyper::client::conn::http2::SendRequest;

use crate::proxy::forward::upload::Upload;

/// The connection, if there is one.
#[derive(Default)]
pub(crate) struct SharedPool {
    sender: Mutex<Option<SendRequest<Upload>>>,
}

impl std::fmt::Debug for SharedPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedPool").finish_non_exhaustive()
    }
}

impl SharedPool {
    /// A way to send over it, while it is open.
    pub(crate) fn sender(&self) -> Option<SendRequest<Upload>> {
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        if sender.as_ref().is_some_and(SendRequest::is_closed) {
            *sender = None;
        }
        sender.clone()
    }

    /// Keeps a new connection for the next requests.
    pub(crate) fn keep(&self, new: &SendRequest<Upload>) {
        *self.sender.lock().unwrap_or_else(PoisonError::into_inner) = Some(new.clone());
    }

    /// Lets go of it; it ends with the last request under way.
    pub(crate) fn clear(&self) {
        *self.sender.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
