//! `podmeter run`: puts the parts together, in the order in which they depend on each other.
//!
//! Settings are checked first, then the listeners are bound, then everything starts. One thread serves
//! and watches, one samples: more would cost memory and gain nothing, since a tick takes milliseconds.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use collector::api::client;
use collector::api::health::{Feed, Health};
use collector::api::observe::Observer;
use collector::cgroup::file::raise_limit;
use collector::diagnose::reason::Findings;
use collector::pods::index::Index;
use collector::pods::labels::Rules;
use collector::pods::standalone::Standalone;
use collector::pods::watch::{self, Pace, Watch};
use collector::sampler::{Metadata, Sampler};
use collector::snapshot::Contribute;
use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cli::Launch;
use crate::config::{self, Host, Settings, Source};
use crate::logs;
use crate::notices::Explained;
use crate::proxy::run::{self, Bound, Running, Watched};
use crate::server::health::{Check, Readiness};
use crate::server::{self, Entry, Server, Stats};
use crate::tasks::{Signals, Stage, Tasks};
use crate::tick::{Cycle, Ticks};

/// Longest time that stopping may take; Kubernetes grants 30 s before it kills.
const GRACE: Duration = Duration::from_secs(10);
/// The sampling thread's stack. A tick recurses nowhere; what is never touched costs nothing anyway.
const STACK: usize = 1 << 20;
/// Where the addresses of `/metrics` are written.
pub(crate) const LISTEN: &str = "with --listen";
/// Where the proxy's addresses are written.
pub(crate) const PROXY_LISTEN: &str = "under proxy.listen";
/// How long after the first list an include pattern may stay without a match before that is worth a word.
const MATCHED_WITHIN: Duration = Duration::from_secs(60);

/// Runs the agent until a signal.
///
/// # Errors
/// Wrong settings, a listener that cannot be bound, or a part that fails.
pub fn run(launch: &Launch) -> anyhow::Result<()> {
    let host = Host::here();
    let loaded = config::load_file(launch, &host)?;
    let settings = loaded.settings.clone();
    let watched = Some(Watched { loaded, launch: launch.clone(), host });
    logs::start(&settings.log);
    runtime()?.block_on(async {
        Signals::install()?
            .around(async |stop| {
                let listeners = bind(&settings.listen, LISTEN).await?;
                let stats = Stats::default();
                let proxy = settings.proxy.as_ref();
                let proxy = proxy
                    .map(|proxy| Bound::open(proxy, &settings.node, &stats, PROXY_LISTEN))
                    .transpose()?;
                let client = connect(&settings).await?;
                let beside = Vec::new();
                let settings = &settings;
                Agent { settings, client, listeners, stats, proxy, watched, beside }.run(stop).await
            })
            .await
    })
}

/// The runtime of every command: one thread, and few for what blocks (name look-ups).
///
/// # Errors
/// When the kernel gives no epoll instance.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder
        .enable_all()
        .max_blocking_threads(4)
        .thread_stack_size(256 * 1024)
        .build()
        .context("cannot start")
}

/// A client for the API server, if the settings want one. Nothing is sent yet.
///
/// # Errors
/// When there is no service account, or the kubeconfig is of no use.
pub(crate) async fn connect(settings: &Settings) -> anyhow::Result<Option<Client>> {
    Ok(match &settings.source {
        Source::InCluster => Some(client::in_cluster()?),
        Source::Kubeconfig(path) => {
            Some(client::from_kubeconfig(path).await.map_err(|error| anyhow!(told(&error)))?)
        }
        Source::Standalone => None,
    })
}

/// An error and its causes in one line, each said once.
///
/// Of each only the first line: a YAML reader shows the lines around the fault below it, and in a kubeconfig
/// those may hold a token.
fn told(error: &dyn std::error::Error) -> String {
    let mut told = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        let line = text.lines().next().unwrap_or_default();
        if !told.contains(line) {
            told += if told.is_empty() { "" } else { ": " };
            told += line;
        }
        next = cause.source();
    }
    told
}

/// Binds every address, or says which one cannot be and why; `place` is where another can be written.
///
/// # Errors
/// When an address is taken, not this machine's, or needs a right.
pub(crate) async fn bind(
    addresses: &[SocketAddr],
    place: &str,
) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        let listener =
            TcpListener::bind(address).await.map_err(|error| refused(*address, error, place))?;
        info!(address = %listener.local_addr()?, "listening");
        listeners.push(listener);
    }
    Ok(listeners)
}

/// What a failed bind means and what to do about it; `place` is where another address can be written.
pub(crate) fn refused(address: SocketAddr, error: io::Error, place: &str) -> anyhow::Error {
    let port = address.port();
    let fix = match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "something else listens there (see ss -ltnp sport = :{port}); stop it, or choose another address {place}"
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            "it is no address of this machine; 0.0.0.0 stands for all".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need a right; choose a higher one".to_owned()
        }
        _ => format!("choose another address {place}"),
    };
    anyhow!(error).context(format!("cannot listen on {address}: {fix}"))
}

/// The rules and everything else that the watch needs to know.
///
/// # Errors
/// None once the settings are checked.
pub(crate) fn watching(settings: &Settings) -> anyhow::Result<watch::Settings> {
    let rules = Rules::new(&settings.labels)
        .map_err(|bad| anyhow!("{} label patterns are not globs", bad.len()))?;
    Ok(watch::Settings { node: settings.node.to_string(), rules, pace: Pace::default() })
}

/// Names from this machine's own files.
pub(crate) fn standalone(settings: &Settings, rules: Rules) -> Metadata {
    Metadata::Standalone(Box::new(Standalone::open(Path::new("/"), &settings.node, rules)))
}

/// The agent, ready to run.
pub(crate) struct Agent<'a> {
    /// What to do.
    pub(crate) settings: &'a Settings,
    /// The way to the API server; `None` for standalone.
    pub(crate) client: Option<Client>,
    /// Bound already, so that a taken port is known before anything starts.
    pub(crate) listeners: Vec<TcpListener>,
    /// What the server counts of itself.
    pub(crate) stats: Stats,
    /// The proxy, if there is to be one; bound as well, and made with the same counts.
    pub(crate) proxy: Option<Bound>,
    /// The file to watch, if there is one.
    pub(crate) watched: Option<Watched>,
    /// What else is to run, started last.
    pub(crate) beside: Vec<Beside>,
}

/// Starts what runs beside the agent and ends with it.
pub(crate) type Beside = Box<dyn FnOnce(&mut Tasks)>;

impl Agent<'_> {
    /// Runs until `stop`.
    ///
    /// # Errors
    /// When a part fails or does not end in time.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        if let Err(error) = raise_limit() {
            warn!(%error, "cannot raise the limit of open files; nodes with many containers need some 17 for each");
        }
        let mut tasks = Tasks::default();
        let mut contributors: Vec<Box<dyn Contribute>> = Vec::new();
        contributors.push(Box::new(self.stats.clone()));
        let client = self.client.as_ref();
        let entry = Entry::open(self.settings, client, &mut tasks, &mut contributors)?;
        let (proxy, watched) = (self.proxy.take(), self.watched.take());
        let mut proxy =
            proxy.map(|bound| bound.start(&mut tasks, &mut contributors, watched)).transpose()?;
        let (metadata, health, explained) = self.metadata(&mut tasks, &mut contributors)?;
        if let (Some(proxy), Some(health)) = (&mut proxy, &health) {
            self.discover(proxy, health, &mut tasks, &mut contributors)?;
        }
        let findings = explained.as_ref().map(|explained| explained.findings.clone());
        let read = (metadata, findings.unwrap_or_default());
        let ticks = self.sample(&mut tasks, read, contributors)?;
        if let Some(explained) = explained {
            explained.look(&mut tasks, &ticks);
        }
        let grace = GRACE + self.settings.proxy.as_ref().map(run::grace).unwrap_or_default();
        let readiness = readiness(ticks.clone(), health, proxy);
        let beside = std::mem::take(&mut self.beside);
        self.serve(&mut tasks, entry, ticks, readiness);
        for start in beside {
            start(&mut tasks);
        }
        tasks.finish(stop.cancelled_owned(), grace).await
    }

    /// Starts the watch, if there is an API server to watch.
    fn metadata(
        &self,
        tasks: &mut Tasks,
        contributors: &mut Vec<Box<dyn Contribute>>,
    ) -> anyhow::Result<(Metadata, Option<Arc<Health>>, Option<Explained>)> {
        let watching = watching(self.settings)?;
        let Some(client) = self.client.clone() else {
            return Ok((standalone(self.settings, watching.rules), None, None));
        };
        let mut feeds = vec![Feed::Pods, Feed::Node];
        if watching.rules.wants_namespaces() {
            feeds.push(Feed::Namespaces);
        }
        if self.settings.proxy.is_some() {
            feeds.extend(Feed::PROXY);
        }
        let rules = watching.rules.clone();
        let (watch, index, health) = Watch::new(client.clone(), watching)?;
        contributors.push(Box::new(Observer::new(health.clone(), &feeds)));
        let (seen, synced) = (index.clone(), health.clone());
        tasks.start(Stage::Watch, "pod watch", |stop| async move {
            tokio::select! {
                ended = watch.run(stop) => Ok(ended?),
                never = hint(rules, seen, synced) => match never {},
            }
        });
        let explained = Explained::start(self.settings, client, index.clone(), tasks, contributors);
        Ok((Metadata::Watch(index, health.clone()), Some(health), Some(explained)))
    }

    /// Lets the proxy learn from the API server.
    fn discover(
        &self,
        proxy: &mut Running,
        health: &Arc<Health>,
        tasks: &mut Tasks,
        contributors: &mut Vec<Box<dyn Contribute>>,
    ) -> anyhow::Result<()> {
        let (settings, health) = (self.settings, health.clone());
        if let (Some(client), Some(config)) = (self.client.clone(), &settings.proxy) {
            let rules = watching(settings)?.rules;
            let from = run::From { client, health, rules, settings, config };
            proxy.discover(tasks, contributors, from);
        }
        Ok(())
    }

    fn sample(
        &self,
        tasks: &mut Tasks,
        (metadata, findings): (Metadata, Arc<Findings>),
        contributors: Vec<Box<dyn Contribute>>,
    ) -> anyhow::Result<Ticks> {
        let config = self.settings.sampler();
        let (cycle, ticks) = Cycle::new(self.settings.interval);
        tasks.start_thread(Stage::Sample, "sampling thread", STACK, move |stop| {
            cycle.block(&stop, || {
                let sampler = Sampler::open(config, metadata, contributors)?;
                let mut sampler = sampler.explaining(findings);
                Ok(move |now, at| sampler.tick(now, at))
            })
        })?;
        Ok(ticks)
    }

    fn serve(self, tasks: &mut Tasks, entry: Entry, ticks: Ticks, readiness: Readiness) {
        let defaults = server::Settings::default();
        let settings = server::Settings {
            stuck_after: defaults.stuck_after.max(3 * self.settings.interval),
            ..defaults
        };
        let server = Server::new(settings, entry, ticks, readiness, self.stats);
        tasks.start(Stage::Serve, "server", |stop| server.run(self.listeners, stop));
    }
}

/// Ready with a first snapshot and, where there is an API server, a first complete list. The listeners are
/// bound before anyone can ask.
fn readiness(ticks: Ticks, health: Option<Arc<Health>>, proxy: Option<Running>) -> Readiness {
    let mut checks: Vec<Box<dyn Fn() -> Check + Send + Sync>> =
        vec![Box::new(move || match ticks.latest() {
            Some(_) => Check::ok("snapshot"),
            None => Check::failed(
                "snapshot",
                "there has been no tick yet",
                "wait; if this stays, the log says why",
            ),
        })];
    if let Some(health) = health {
        checks.push(Box::new(move || {
            let trouble = health.trouble(Feed::Pods);
            if health.is_synced(Feed::Pods) {
                // Names that are known stay in force, so this is no reason to take the agent out.
                return match (trouble, health.since_contact()) {
                    (Some(trouble), Some(age)) => Check::ok("pods")
                        .noting(format!("names are {} s old: {trouble}", age.as_secs())),
                    _ => Check::ok("pods"),
                };
            }
            let why = trouble.map_or_else(
                || "the API server has not answered yet".to_owned(),
                |trouble| trouble.to_string(),
            );
            let missing = format!("no complete list of pods yet: {why}");
            Check::failed(
                "pods",
                missing,
                "series go out under uids meanwhile; podmeter check tells more",
            )
        }));
    }
    if let Some(proxy) = proxy {
        checks.push(Box::new(move || proxy.check()));
    }
    Readiness::new(checks)
}

/// Says once which include patterns match nothing: most often a misspelt key, which would go unnoticed.
async fn hint(
    rules: Rules,
    mut index: Receiver<Arc<Index>>,
    health: Arc<Health>,
) -> std::convert::Infallible {
    // The sender lives in the watch beside this; it goes when both do.
    let _ = index.wait_for(|_| health.is_synced(Feed::Pods)).await;
    tokio::time::sleep(MATCHED_WITHIN).await;
    for never in rules.never_matched(&index.borrow()) {
        warn!(
            key = never.list,
            pattern = never.pattern,
            "no pod of this node has a key that matches; check the spelling"
        );
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named_with_the_fix() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let text = format!("{:#}", bind(&[address], LISTEN).await.unwrap_err());
        assert!(
            text.starts_with(&format!("cannot listen on {address}: something else listens there")),
            "{text}"
        );
        assert!(text.contains("--listen"), "{text}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_told_apart() {
        let text =
            format!("{:#}", bind(&["192.0.2.1:0".parse().unwrap()], LISTEN).await.unwrap_err());
        assert!(text.contains("no address of this machine"), "{text}");
    }
}
