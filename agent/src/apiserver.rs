//! A small Kubernetes API server in this process, for `podmeter demo` and for the tests.
//!
//! Holds any objects as JSON and serves them as the real one does, as far as a reader can see: lists and
//! watches with field and label selectors, versions, bookmarks, and 410 for history that is gone. It also
//! fails on demand, in every way that a real one was seen to. All that it writes for a client is Events, and it checks
//! no rights but an optional bearer token; about tokens and rights it answers reviews. It listens on the loopback
//! interface only.

mod fault;
mod review;
mod route;
mod serve;
mod store;
mod stream;

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use fault::Faults;
pub use fault::{Fault, On};
pub use review::Right;
use review::Subjects;
pub use route::Verb;
use store::Store;

/// Requests that are remembered; older ones are forgotten.
const MAX_SEEN: usize = 10_000;

/// How the server is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Asked of every request as `Authorization: Bearer …`, if set.
    pub token: Option<String>,
    /// How often a quiet watch gets a bookmark. Default one minute, as the real server does it.
    pub bookmark_every: Duration,
    /// Whether there are EndpointSlices in v1, which Kubernetes 1.20 does not have. Default true.
    pub slices: bool,
    /// Port on the loopback interface; 0 lets the kernel choose. Default 0.
    pub port: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self { token: None, bookmark_every: Duration::from_secs(60), slices: true, port: 0 }
    }
}

/// One request as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What it asked for.
    pub verb: Verb,
    /// Such as `/api/v1/pods`.
    pub path: String,
    /// The parameters, decoded, in the order they stood.
    pub query: Vec<(String, String)>,
    /// `User-Agent`.
    pub agent: String,
}

impl Seen {
    /// The first value of a parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The running server; it ends when this is dropped.
#[derive(Debug)]
pub struct ApiServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// The accept loop, which owns the connections.
    tasks: JoinSet<()>,
}

/// What the connections share.
#[derive(Debug)]
struct Shared {
    options: Options,
    store: Mutex<Store>,
    faults: Mutex<Faults>,
    subjects: Mutex<Subjects>,
    seen: Mutex<VecDeque<Seen>>,
    signals: watch::Sender<Signals>,
}

/// What open watches wait for.
#[derive(Clone, Copy, Debug, Default)]
struct Signals {
    /// Versions written so far.
    writes: u64,
    /// Each rise cuts every watch.
    cuts: u64,
    /// Each rise sends a bookmark on every watch.
    bookmarks: u64,
}

impl ApiServer {
    /// Starts an empty server with the default options.
    ///
    /// # Errors
    /// When no port can be bound on the loopback interface.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Options::default()).await
    }

    /// Starts an empty server.
    ///
    /// # Errors
    /// When the port cannot be bound on the loopback interface.
    pub async fn start_with(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            options,
            store: Mutex::default(),
            faults: Mutex::default(),
            subjects: Mutex::default(),
            seen: Mutex::default(),
            signals: watch::Sender::default(),
        });
        let mut server = Self { shared, address, tasks: JoinSet::new() };
        server.accept(listener);
        Ok(server)
    }

    /// Such as `http://127.0.0.1:41234`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig that leads here, for `--kubeconfig`.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        let user = self
            .shared
            .options
            .token
            .as_ref()
            .map_or_else(|| "{}".to_owned(), |token| Value::from(token.as_str()).to_string());
        let user = if user == "{}" { user } else { format!("{{token: {user}}}") };
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: podmeter\n\
             clusters:\n- name: podmeter\n  cluster: {{server: \"{}\"}}\n\
             users:\n- name: podmeter\n  user: {user}\n\
             contexts:\n- name: podmeter\n  context: {{cluster: podmeter, user: podmeter}}\n",
            self.url()
        )
    }

    /// Adds or replaces an object; it must have `apiVersion`, `kind` and `metadata.name`.
    ///
    /// Its `resourceVersion` is written by the server, nothing else is. An object without a name is ignored.
    pub fn apply(&self, object: Value) {
        lock(&self.shared.store).apply(object);
        self.wrote();
    }

    /// Deletes an object; `namespace` is empty for those without one. Nothing happens when it is not there.
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) {
        lock(&self.shared.store).delete(kind, namespace, name);
        self.wrote();
    }

    /// Deletes everything without a word: no watch is told, and the history is gone.
    pub fn forget(&self) {
        lock(&self.shared.store).forget();
    }

    /// The Events that clients wrote, in the order of their names.
    #[must_use]
    pub fn written(&self) -> Vec<Value> {
        lock(&self.shared.store).all("/apis/events.k8s.io/v1/events")
    }

    /// Gives up the history, so that every version handed out so far is too old.
    pub fn compact(&self) {
        lock(&self.shared.store).compact();
    }

    /// Whether a version that is too old is refused with a status, instead of an ERROR event in the watch.
    pub fn refuse_old_versions_by_status(&self, by_status: bool) {
        lock(&self.shared.store).gone_by_status = by_status;
    }

    /// Says this `resourceVersion` in lists, events and bookmarks instead of the true one; `None` is honest.
    pub fn lie(&self, version: Option<&str>) {
        lock(&self.shared.store).lie = version.map(str::to_owned);
    }

    /// Knows a token as this user's from now on.
    pub fn know(&self, token: &str, user: &str) {
        lock(&self.shared.subjects).know(token, user);
    }

    /// Does not know the token any more.
    pub fn withdraw(&self, token: &str) {
        lock(&self.shared.subjects).withdraw(token);
    }

    /// Gives the user a right, as a binding would.
    pub fn allow(&self, user: &str, right: Right) {
        lock(&self.shared.subjects).allow(user, right);
    }

    /// Takes all rights from the user.
    pub fn deny(&self, user: &str) {
        lock(&self.shared.subjects).deny(user);
    }

    /// Makes the next `times` requests that fit fail so. Faults are used up in the order they were given.
    pub fn fault(&self, on: On, times: usize, fault: Fault) {
        lock(&self.shared.faults).add(on, times, fault);
    }

    /// Takes back every fault that is left.
    pub fn heal(&self) {
        *lock(&self.shared.faults) = Faults::default();
    }

    /// Cuts every open watch in the middle.
    pub fn cut_watches(&self) {
        self.shared.signals.send_modify(|signals| signals.cuts += 1);
    }

    /// Sends a bookmark on every watch that allows them.
    pub fn bookmark(&self) {
        self.shared.signals.send_modify(|signals| signals.bookmarks += 1);
    }

    /// Requests so far, oldest first, less those that [`Self::forget_requests`] dropped.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        lock(&self.shared.seen).iter().cloned().collect()
    }

    /// Starts the list of requests anew.
    pub fn forget_requests(&self) {
        lock(&self.shared.seen).clear();
    }

    /// Closes the port and every connection. The objects stay.
    pub async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Listens again on the same port.
    ///
    /// # Errors
    /// When something else has taken the port meanwhile.
    pub async fn restart(&mut self) -> io::Result<()> {
        self.stop().await;
        let listener = TcpListener::bind(self.address).await?;
        self.accept(listener);
        Ok(())
    }

    fn accept(&mut self, listener: TcpListener) {
        self.tasks.spawn(serve::accept(listener, self.shared.clone()));
    }

    fn wrote(&self) {
        self.shared.signals.send_modify(|signals| signals.writes += 1);
    }
}

impl Shared {
    fn saw(&self, request: Seen) {
        let mut seen = lock(&self.seen);
        if seen.len() == MAX_SEEN {
            seen.pop_front();
        }
        seen.push_back(request);
    }
}

/// A panic under a lock leaves nothing half done here, so its poison means nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
