//! Puts the proxy together: sockets first, then what all workers share, then the workers.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::sync::Arc;
use std::time::SystemTime;

use tokio_util::task::TaskTracker;

use super::access_log::AccessLog;
use super::affinity::{KeyError, Keys};
use super::backend::connect::Connector;
use super::control::{Control, Told};
use super::forwarded::Trust;
use super::guard::addresses::Connections;
use super::listen::{self, BindError, Socket, Stop};
use super::live::Registry;
use super::route::{Origin, Source};
use super::settings::Settings;
use super::stats::Stats;
use super::tls::{self, Acceptor, Protocols};
use super::worker::{Shared, Worker};
use crate::labels::{Label, LabelSet};
use crate::schema::Series;
use crate::snapshot::{Contribute, Snapshot};

/// Why the proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The file with the keys that sign sessions' cookies cannot be used.
    #[error(transparent)]
    Affinity(#[from] KeyError),
    /// The file with the authorities that sign pods' certificates cannot be used.
    #[error(transparent)]
    Backend(#[from] tls::BackendError),
    /// The system gives no random bytes.
    #[error("cannot prepare TLS")]
    Tls(#[source] io::Error),
}

/// The proxy, with its sockets bound and nothing accepted yet.
pub struct Proxy {
    shared: Arc<Shared>,
    threads: Vec<Thread>,
    addresses: Vec<Listening>,
}

/// An address that is listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listening {
    /// With the port that the kernel chose, where it was to choose one.
    pub address: SocketAddr,
    /// Whether TLS is spoken.
    pub tls: bool,
}

/// One serving thread, not yet running.
pub struct Thread {
    index: usize,
    shared: Arc<Shared>,
    sockets: Vec<Socket>,
}

/// How many threads these settings ask for.
#[must_use]
pub fn workers(settings: &Settings) -> usize {
    match settings.workers {
        0 => std::thread::available_parallelism().map_or(1, NonZero::get),
        asked => asked,
    }
}

impl Proxy {
    /// Binds the sockets and puts everything together. Requests are refused as not ready until every source in
    /// `awaited` has told its routes. `stats` must have been made for as many workers as [`workers()`] says.
    ///
    /// # Errors
    /// When an address or a file of the settings cannot be used.
    pub fn open(
        settings: Settings,
        stats: Stats,
        access_log: Option<AccessLog>,
        awaited: BTreeSet<Source>,
    ) -> Result<Self, Error> {
        let workers = workers(&settings);
        let mut sockets: Vec<Vec<Socket>> = (0..workers).map(|_| Vec::new()).collect();
        let mut addresses = Vec::new();
        let plain = settings.listen.iter().map(|address| (*address, false));
        let secure = settings.listen_tls.iter().map(|address| (*address, true));
        for (address, tls) in plain.chain(secure) {
            let bound = listen::bind(address, tls, workers)?;
            let address = bound.first().and_then(|socket| socket.listener.local_addr().ok());
            addresses.extend(address.map(|address| Listening { address, tls }));
            sockets.iter_mut().zip(bound).for_each(|(of_worker, socket)| of_worker.push(socket));
        }
        let shared = Arc::new(shared(settings, stats, access_log, awaited)?);
        let thread = |(index, sockets)| Thread { index, shared: shared.clone(), sockets };
        let threads = sockets.into_iter().enumerate().map(thread).collect();
        Ok(Self { shared, threads, addresses })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[Listening] {
        &self.addresses
    }

    /// What the sources tell.
    #[must_use]
    pub fn control(&self) -> Arc<dyn Told> {
        Arc::new(Control(self.shared.clone()))
    }

    /// How it is doing, for whoever asks later.
    #[must_use]
    pub fn state(&self) -> State {
        State(self.shared.clone())
    }

    /// The threads to run.
    #[must_use]
    pub fn into_threads(self) -> Vec<Thread> {
        self.threads
    }
}

fn shared(
    settings: Settings,
    stats: Stats,
    access_log: Option<AccessLog>,
    awaited: BTreeSet<Source>,
) -> Result<Shared, Error> {
    let workers = workers(&settings);
    let settings = Arc::new(settings);
    let tls = tls::Backend::new(settings.tls.backend_ca.as_deref())?;
    Ok(Shared {
        registry: Arc::new(Registry::new(settings.clone(), stats.clone(), workers, awaited)),
        connector: Connector { tls, limits: settings.limits },
        acceptor: Acceptor::new(&settings.tls, settings.limits.connections, Protocols::Http2)
            .map_err(Error::Tls)?,
        connections: Connections::new(
            settings.limits.connections,
            settings.limits.connections_per_address,
        ),
        trust: Trust::new(&settings.trusted),
        announced: Trust::new(&settings.proxy_protocol),
        affinity: Keys::load(settings.affinity_key.as_deref())?,
        stats,
        access_log,
        settings,
    })
}

/// How the proxy is doing.
#[derive(Clone)]
pub struct State(Arc<Shared>);

impl State {
    /// Whether every source that is waited for has told its routes.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.0.registry.live().is_complete
    }

    /// Clients' connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.connections.open()
    }

    /// Until when each certificate in force is good.
    #[must_use]
    pub fn certificates(&self) -> Vec<(Origin, SystemTime)> {
        self.0.acceptor.expiries()
    }

    /// Until when the revocation lists in force are good, by the one that ends first.
    #[must_use]
    pub fn revocation_lists(&self) -> Option<SystemTime> {
        self.0.acceptor.revocation_expiry()
    }
}

impl Contribute for State {
    fn contribute(&mut self, snapshot: &mut Snapshot, agent: u32) {
        let acceptor = &self.0.acceptor;
        snapshot.add(Series::ProxyConnections.into(), agent, None, self.connections() as f64);
        snapshot.add(Series::ProxyRevoked.into(), agent, None, acceptor.revoked() as f64);
        for (origin, until) in self.certificates() {
            let Ok(until) = until.duration_since(SystemTime::UNIX_EPOCH) else { continue };
            let labels = vec![
                Label::own("namespace", origin.namespace),
                Label::own("certificate", origin.name),
            ];
            let labels = Some(Arc::new(LabelSet::new(labels)));
            snapshot.add(Series::ProxyCertificateExpiry.into(), agent, labels, until.as_secs_f64());
        }
    }
}

impl Thread {
    /// Serves until told to stop, and then until the last request has ended or its time is over. Blocks.
    ///
    /// # Errors
    /// When the kernel gives no event queue.
    pub fn block(self, stop: Stop) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let worker = Worker {
            index: self.index,
            shared: self.shared,
            tasks: TaskTracker::new(),
            links: TaskTracker::new(),
        };
        runtime.block_on(listen::run(Arc::new(worker), self.sockets, stop))
    }
}
