//! Starts the proxy with everything that tells it what there is to serve, and ends it in order.
//!
//! To end: first it only says that it is not ready, so that load balancers notice; then it takes no further
//! connection and lets the present requests end.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context, anyhow};
use collector::api::health::Health;
use collector::pods::labels::Rules;
use collector::proxy::access_log::{AccessLog, Writer};
use collector::proxy::control::Told;
use collector::proxy::discovery::{self, Discovery, Pace, Status};
use collector::proxy::listen::{BindError, Stop};
use collector::proxy::route::Source;
use collector::proxy::settings::{self, AuthoritiesFrom};
use collector::proxy::start::{self, Proxy, State};
use collector::proxy::stats::Stats;
use collector::proxy::tls::Files;
use collector::snapshot::Contribute;
use kube::Client;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::reload::Reload;
use crate::app::refused;
use crate::cli::Launch;
use crate::config::{self, Host, Loaded};
use crate::server;
use crate::server::health::Check;
use crate::tasks::{Stage, Tasks};

/// Over how long all nodes of a cluster spread what each of them would write.
const SPREAD: Duration = Duration::from_secs(60);
/// A worker's stack. What is never touched costs nothing.
const STACK: usize = 2 << 20;
/// The access log's thread has nothing but a buffer.
const LOG_STACK: usize = 256 << 10;

/// The proxy with its sockets bound, so that a taken port is known before anything starts.
pub(crate) struct Bound {
    proxy: Proxy,
    files: Files,
    stats: Stats,
    log: Option<(AccessLog, Writer)>,
    config: config::Proxy,
}

/// What a configuration file that is watched was read with.
pub(crate) struct Watched {
    pub(crate) loaded: Loaded,
    pub(crate) launch: Launch,
    pub(crate) host: Host,
}

/// What discovery goes on.
pub(crate) struct From<'a> {
    pub(crate) client: Client,
    /// Of the pods' watch, so that a watch's series stand once.
    pub(crate) health: Arc<Health>,
    pub(crate) rules: Rules,
    pub(crate) settings: &'a config::Settings,
    pub(crate) config: &'a config::Proxy,
}

/// What others need of the running proxy.
pub(crate) struct Running {
    told: Arc<dyn Told>,
    state: State,
    is_stopping: Arc<AtomicBool>,
    /// How it goes with the API server, where there is one.
    discovery: Option<Arc<Status>>,
}

impl Bound {
    /// Binds the sockets and reads the PEM files. `scrapes` counts what is served of `/metrics`; `place` is where
    /// another address than a taken one can be written.
    ///
    /// # Errors
    /// When an address or a file cannot be used.
    pub(crate) fn open(
        config: &config::Proxy,
        node: &Arc<str>,
        scrapes: &server::Stats,
        place: &str,
    ) -> anyhow::Result<Self> {
        let settings = &config.settings;
        let workers = start::workers(settings);
        let stats = Stats::new(node, workers, settings.limits.series, scrapes.scrapes());
        let log = settings.access_log.as_ref();
        let log = log.map(|log| AccessLog::open(log, workers)).transpose()?;
        let mut awaited = BTreeSet::from([Source::File]);
        awaited.extend(config.ingress_class.as_ref().map(|_| Source::Ingress));
        let writes = log.as_ref().map(|(log, _)| log.clone());
        let proxy = Proxy::open(settings.clone(), stats.clone(), writes, awaited)
            .map_err(|error| match error {
                start::Error::Bind(BindError { address, source }) => {
                    refused(address, source, place)
                }
                error => anyhow!(error),
            })
            .context("cannot start the proxy")?;
        for listening in proxy.addresses() {
            info!(proxy = %listening.address, tls = listening.tls, "the proxy listens");
        }
        let mut files = Files::new(&settings.tls);
        files.load_first(&*proxy.control())?;
        Ok(Self { proxy, files, stats, log, config: config.clone() })
    }

    /// Where it listens.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.proxy.addresses().iter().map(|listening| listening.address)
    }

    /// Tells what the file says, and serves. What changes in the file later is told by [`Reload`].
    ///
    /// # Errors
    /// When the kernel gives no thread.
    pub(crate) fn start(
        self,
        tasks: &mut Tasks,
        contributors: &mut Vec<Box<dyn Contribute>>,
        watched: Option<Watched>,
    ) -> anyhow::Result<Running> {
        let (told, state) = (self.proxy.control(), self.proxy.state());
        tell(&*told, &self.config);
        let reload = watched.and_then(|Watched { loaded, launch, host }| {
            Reload::new(&loaded, launch, host, told.clone())
        });
        if let Some(reload) = reload {
            contributors.push(Box::new(reload.stats()));
            tasks.start(Stage::Watch, "configuration watch", |stop| reload.run(stop));
        }
        contributors.push(Box::new(self.stats));
        contributors.push(Box::new(state.clone()));
        if let Some((log, writer)) = self.log {
            contributors.push(Box::new(log));
            // It ends after the last request was answered.
            tasks.start_thread(Stage::Serve, "access log", LOG_STACK, move |stop| {
                Ok(writer.block(&stop)?)
            })?;
        }
        if !self.files.is_empty() {
            let (files, told) = (self.files, told.clone());
            tasks.start(Stage::Serve, "certificate files", |stop| async move {
                files.run(told, stop).await;
                Ok(())
            });
        }
        let drain = self.config.settings.drain;
        let is_stopping = Arc::new(AtomicBool::new(false));
        let stop = Stop { drain: CancellationToken::new(), timeout: drain.timeout };
        let (ended, told_of) = (stop.drain.clone(), is_stopping.clone());
        tasks.start(Stage::Proxy, "proxy's end", move |stop| async move {
            stop.cancelled().await;
            told_of.store(true, Relaxed);
            tokio::time::sleep(drain.delay).await;
            ended.cancel();
            Ok(())
        });
        for thread in self.proxy.into_threads() {
            let stop = stop.clone();
            tasks.start_thread(Stage::Proxy, "proxy worker", STACK, move |_| {
                Ok(thread.block(stop)?)
            })?;
        }
        Ok(Running { told, state, is_stopping, discovery: None })
    }
}

fn tell(told: &dyn Told, config: &config::Proxy) {
    for (key, service) in &config.services {
        told.service(key, Some(service.clone()));
    }
    for fault in told.routes(Source::File, config.routes.clone()) {
        warn!(route = %fault.origin.name, reason = fault.reason, "{}", fault.sentence);
    }
}

impl Running {
    /// Follows the API server for Ingresses, and for the Services that routes name.
    pub(crate) fn discover(
        &mut self,
        tasks: &mut Tasks,
        contributors: &mut Vec<Box<dyn Contribute>>,
        from: From<'_>,
    ) {
        let From { client, health, rules, settings, config } = from;
        let settings = learning(settings, config, rules);
        let (discovery, status) = Discovery::new(client, settings, health, self.told.clone());
        contributors.push(Box::new(discovery::Observer::new(status.clone())));
        self.discovery = Some(status);
        tasks.start(Stage::Watch, "proxy discovery", |stop| async move {
            discovery.run(stop).await;
            Ok(())
        });
    }

    /// Whether it may be sent requests.
    pub(crate) fn check(&self) -> Check {
        if self.is_stopping.load(Relaxed) {
            Check::failed("proxy", "it is about to stop", "send requests to another node")
        } else if self.is_complete() {
            Check::ok("proxy")
        } else {
            let trouble = self.discovery.as_ref().and_then(|status| status.trouble());
            let why = trouble.map_or_else(String::new, |trouble| format!(": {trouble}"));
            let missing = format!("its routes and the pods behind them are not known yet{why}");
            Check::failed("proxy", missing, "wait; if this stays, podmeter check tells more")
        }
    }

    fn is_complete(&self) -> bool {
        let is_discovered = self.discovery.as_ref().is_none_or(|status| status.is_ready());
        self.state.is_complete() && is_discovered
    }
}

/// What the proxy looks for at the API server.
pub(crate) fn learning(
    settings: &config::Settings,
    config: &config::Proxy,
    rules: Rules,
) -> discovery::Settings {
    discovery::Settings {
        node: settings.node.clone(),
        ingress_class: config.ingress_class.clone(),
        publish: config.publish.clone(),
        rules,
        authorities: authorities(&config.settings.tls),
        pace: Pace::default(),
        spread: SPREAD,
    }
}

/// The Secret with the authorities of clients' certificates, if that is where they are.
pub(crate) fn authorities(tls: &settings::Tls) -> Option<(Arc<str>, Arc<str>)> {
    match &tls.clients.as_ref()?.authorities {
        AuthoritiesFrom::Secret { namespace, name } => Some((namespace.clone(), name.clone())),
        AuthoritiesFrom::Files { .. } => None,
    }
}

/// How long ending the proxy may take at most.
pub(crate) fn grace(config: &config::Proxy) -> Duration {
    config.settings.drain.delay + config.settings.drain.timeout
}
