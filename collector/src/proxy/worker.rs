//! What one serving thread has at hand for every request.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::access_log::AccessLog;
use super::affinity::Keys;
use super::backend::connect::Connector;
use super::forwarded::Trust;
use super::guard::addresses::Connections;
use super::live::Registry;
use super::refusal::Refusal;
use super::settings::Settings;
use super::stats::Stats;
use super::tls::Acceptor;

/// What all workers share.
pub(crate) struct Shared {
    pub(crate) settings: Arc<Settings>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) stats: Stats,
    /// If there is one.
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) connector: Connector,
    /// TLS from clients.
    pub(crate) acceptor: Acceptor,
    /// Clients' connections that are open.
    pub(crate) connections: Connections,
    /// Whose forwarding headers are believed.
    pub(crate) trust: Trust,
    /// Who says first whose connection it passes on (PROXY protocol).
    pub(crate) announced: Trust,
    /// Signs sessions' cookies.
    pub(crate) affinity: Keys,
}

/// One serving thread.
pub(crate) struct Worker {
    /// From 0; which shard of the counts and of the pools is its own.
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    /// Clients' connections, tunnels and the like; all of them end before the thread does.
    pub(crate) tasks: TaskTracker,
    /// Shared connections to pods. They would stay for the next request, so they end after the last client's.
    pub(crate) links: TaskTracker,
}

impl Worker {
    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(crate) fn refused(&self, reason: Refusal) {
        self.shared.stats.refused(self.index, reason);
    }
}
