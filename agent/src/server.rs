//! Podmeter's own HTTP endpoints: metrics, health and the snapshot as JSON.
//!
//! Owns connections, their bounds and what is answered to whom ([`entry`]: TLS and access); the bytes of a metrics answer are
//! [`crate::export::prometheus`]'s business, and when to sample is [`crate::tick`]'s. Nothing here
//! waits without a bound, and whatever is refused is counted by a reason of [`Refusal`].

mod access;
mod answer;
mod connection;
mod entry;
pub mod health;
mod routes;
mod scrape;
mod snapshot;
mod stats;
mod stream;
pub(crate) mod tls;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use futures::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::tick::Ticks;
use health::Readiness;

pub use entry::Entry;
pub use stats::{Refusal, Stats};

/// The server's bounds. The defaults suit a node with a few scrapers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Connections at once, over all listeners. Further ones are told 503 and closed, so that they
    /// fail at once and are counted, where a full backlog would let them wait unseen.
    pub connections: usize,
    /// Answers from a snapshot in memory at once, from the start of rendering until the client has
    /// them; further requests wait.
    pub renders: usize,
    /// How long a request waits for one of those before it is refused.
    pub render_wait: Duration,
    /// How long a client may take for a TLS handshake, to send a request's head, and to begin the next request.
    pub head_timeout: Duration,
    /// How long a client may take to read an answer.
    pub answer_timeout: Duration,
    /// How long a scrape waits for a fresh snapshot before it takes the latest.
    pub fresh_wait: Duration,
    /// From which age of the latest snapshot on sampling counts as stuck: the liveness probe fails
    /// and old numbers are no longer given out as if they were new.
    pub stuck_after: Duration,
    /// How long running answers may take once the server is to stop.
    pub grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: 64,
            renders: 4,
            render_wait: Duration::from_secs(5),
            head_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(30),
            fresh_wait: Duration::from_secs(3),
            stuck_after: Duration::from_secs(60),
            grace: Duration::from_secs(5),
        }
    }
}

/// Bytes of a request's line and headers.
const HEAD_BYTES: usize = 16 * 1024;
/// Bytes of a request's body, which nothing here reads.
const BODY_BYTES: u64 = 64 * 1024;

/// The server, before it runs.
pub struct Server {
    shared: Arc<Shared>,
}

/// What all connections share.
struct Shared {
    settings: Settings,
    ticks: Ticks,
    readiness: Readiness,
    stats: Stats,
    connections: Arc<Semaphore>,
    renders: Arc<Semaphore>,
    entry: Entry,
    started: Instant,
    /// Size of the last text rendered, so that the next one's buffer need not grow.
    size: AtomicUsize,
}

impl Server {
    /// A server of these snapshots and checks for those that `entry` lets in, counting into `stats`.
    #[must_use]
    pub fn new(
        settings: Settings,
        entry: Entry,
        ticks: Ticks,
        readiness: Readiness,
        stats: Stats,
    ) -> Self {
        let connections = Arc::new(Semaphore::new(settings.connections));
        let renders = Arc::new(Semaphore::new(settings.renders));
        let started = Instant::now();
        Self {
            shared: Arc::new(Shared {
                settings,
                ticks,
                readiness,
                stats,
                connections,
                renders,
                entry,
                started,
                size: AtomicUsize::new(0),
            }),
        }
    }

    /// Serves until `stop`, then lets running answers end within the grace time.
    ///
    /// # Errors
    /// None yet: a fault of one connection is counted, and one of accepting is counted and tried again.
    pub async fn run(
        self,
        listeners: Vec<TcpListener>,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        join_all(
            listeners.into_iter().map(|listener| {
                connection::serve(listener, Arc::clone(&self.shared), stop.clone())
            }),
        )
        .await;
        Ok(())
    }
}
