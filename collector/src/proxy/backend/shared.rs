//! HTTP/2 connections of one worker to one pod, each shared by many requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::client::conn::http2::SendRequest;

use crate::proxy::forward::upload::Upload;

/// Requests at once over one connection; for more another one is made. Servers allow at least as many (RFC 9113,
/// 6.5.2), and one that waited for its stream would hold up all behind it.
const STREAMS: usize = 100;

/// The connections, in the order in which they are filled, so that those that are not needed become empty.
#[derive(Default)]
pub(crate) struct SharedPool(Mutex<Vec<Shared>>);

/// One of the connections.
struct Shared {
    sender: SendRequest<Upload>,
    /// Held by each request under way as well.
    places: Arc<()>,
}

/// One request's part of a connection.
pub(crate) struct Share {
    pub(crate) sender: SendRequest<Upload>,
    /// To be held until the answer has ended.
    pub(crate) place: Option<Place>,
}

/// A request's place on a connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _held: Arc<()>,
}

impl Shared {
    fn load(&self) -> usize {
        Arc::strong_count(&self.places) - 1
    }

    fn share(&self) -> Share {
        let place = Some(Place { _held: self.places.clone() });
        Share { sender: self.sender.clone(), place }
    }
}

impl std::fmt::Debug for SharedPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedPool").finish_non_exhaustive()
    }
}

impl SharedPool {
    /// A connection with room, while there is one that is open.
    pub(crate) fn take(&self) -> Option<Share> {
        let mut shares = self.lock();
        shares.retain(|share| !share.sender.is_closed());
        let free = shares.iter().position(|share| share.load() < STREAMS)?;
        // One that has come to be empty is let go once those before it have room to spare.
        if shares.len() > free + 1
            && shares[free].load() < STREAMS / 2
            && shares.last().is_some_and(|last| last.load() == 0)
        {
            shares.pop();
        }
        Some(shares[free].share())
    }

    /// Keeps a new connection for the next requests.
    pub(crate) fn keep(&self, sender: SendRequest<Upload>) -> Share {
        let made = Shared { sender, places: Arc::default() };
        let share = made.share();
        let mut shares = self.lock();
        // Of several that were made at once for the first requests one is enough.
        if shares.iter().all(|share| share.load() >= STREAMS) {
            shares.push(made);
        }
        share
    }

    /// Lets go of them; each ends with the last request under way.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Shared>> {
        // A list of connections is whole whatever happened.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
