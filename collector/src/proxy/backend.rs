//! One pod as the proxy sees it: where it is, how it is doing, and the connections kept to it.
//!
//! Lives as long as a Service lists it or a request is under way to it. [`connect`] makes connections,
//! [`link`] is one that carries one request at a time, [`shared`] one of HTTP/2, [`pool`] keeps what is idle.

pub(crate) mod connect;
pub(crate) mod link;
pub(crate) mod pool;
pub(crate) mod shared;
pub(crate) mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use arc_swap::ArcSwap;
use rustls::pki_types::ServerName;

use super::balance::circuit::Circuit;
use super::balance::ewma::PeakEwma;
use super::clock;
use super::service::{Endpoint, Protocol, ServiceKey};
use super::stats::BackendStats;
use super::tls;
use crate::labels::LabelSet;
use pool::Pool;
use shared::SharedPool;

/// What makes two endpoints the same backend.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) id: Arc<str>,
    pub(crate) address: SocketAddr,
    pub(crate) protocol: Protocol,
    /// The name that its certificate is checked against; `None` for plain text.
    pub(crate) tls: Option<ServerName<'static>>,
}

impl Key {
    pub(crate) fn new(service: &ServiceKey, of: &super::service::Service, at: &Endpoint) -> Self {
        let name = || tls::Backend::server_name(service, at.address.ip());
        Self {
            id: at.id.clone(),
            address: at.address,
            protocol: of.protocol,
            tls: of.tls.then(name),
        }
    }
}

/// A pod's port.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) key: Key,
    pub(crate) stats: Arc<BackendStats>,
    pub(crate) latency: PeakEwma,
    pub(crate) circuit: Circuit,
    /// For the access log.
    pub(crate) labels: ArcSwap<LabelSet>,
    active: AtomicUsize,
    /// No Service lists it any more: connections to it are not kept.
    gone: AtomicBool,
    pools: Box<[Pool]>,
    shared: Box<[SharedPool]>,
}

impl Backend {
    pub(crate) fn new(
        key: Key,
        labels: Arc<LabelSet>,
        stats: Arc<BackendStats>,
        workers: usize,
    ) -> Self {
        Self {
            key,
            stats,
            latency: PeakEwma::new(clock::now()),
            circuit: Circuit::default(),
            labels: ArcSwap::new(labels),
            active: AtomicUsize::new(0),
            gone: AtomicBool::new(false),
            pools: (0..workers).map(|_| Pool::default()).collect(),
            shared: (0..workers).map(|_| SharedPool::default()).collect(),
        }
    }

    /// Requests under way, over all workers.
    pub(crate) fn active(&self) -> usize {
        self.active.load(Relaxed)
    }

    pub(crate) fn pool(&self, worker: usize) -> &Pool {
        &self.pools[worker]
    }

    pub(crate) fn shared(&self, worker: usize) -> &SharedPool {
        &self.shared[worker]
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }

    /// No Service lists it any more.
    pub(crate) fn leave(&self) {
        self.gone.store(true, Relaxed);
        for (pool, shared) in self.pools.iter().zip(&self.shared) {
            pool.clear();
            shared.clear();
        }
    }

    /// It is listed again before the last request to it ended.
    pub(crate) fn come_back(&self) {
        self.gone.store(false, Relaxed);
    }
}

/// A request under way to a backend. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Busy {
    backend: Arc<Backend>,
    /// It tries whether an open circuit may close.
    is_probe: bool,
    /// Whether it told the circuit how it went.
    told: bool,
}

impl Busy {
    /// Takes a place, if there is one below `most` and the circuit lets it pass.
    pub(crate) fn claim(backend: &Arc<Backend>, most: usize, is_probe: bool) -> Option<Self> {
        if backend.active.fetch_add(1, Relaxed) >= most {
            backend.active.fetch_sub(1, Relaxed);
            return None;
        }
        if is_probe && !backend.circuit.probe() {
            backend.active.fetch_sub(1, Relaxed);
            return None;
        }
        Some(Self { backend: backend.clone(), is_probe, told: false })
    }

    pub(crate) fn backend(&self) -> &Arc<Backend> {
        &self.backend
    }

    /// The pod answered to the end.
    pub(crate) fn finished(&self) {
        self.backend.circuit.finished();
    }

    /// The pod began to answer.
    pub(crate) fn worked(&mut self) {
        self.told = true;
        if self.backend.circuit.worked() {
            tracing::info!(backend = %self.backend.key.address, "a pod works again");
        }
    }

    /// The pod failed. `now` is microseconds of the proxy's clock.
    pub(crate) fn failed(&mut self, now: u64, ejection: &super::settings::Ejection) {
        self.told = true;
        if self.backend.circuit.failed(now, self.is_probe, ejection) {
            tracing::warn!(backend = %self.backend.key.address, "a pod failed too often in a row and is left alone for a while");
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.backend.active.fetch_sub(1, Relaxed);
        if self.is_probe && !self.told {
            self.backend.circuit.unprobe();
        }
    }
}
