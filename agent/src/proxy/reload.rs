//! Follows the configuration file while the agent runs: routes and services change at once.
//!
//! The file's content is compared, not its time: a `ConfigMap` is a link to a link that is replaced, and what
//! tells of changes does not follow those. A file with a fault changes nothing but what is told about it.

mod outcome;
mod stats;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use collector::proxy::control::Told;
use collector::proxy::route::{Route, Source};
use collector::proxy::service::{Service, ServiceKey};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::outcome::{Change, Outcome, reloaded};
pub use self::stats::Stats;
use crate::cli::Launch;
use crate::config::{self, Faults, Host, Loaded, Proxy, file};

/// Between two looks at the file.
const EVERY: Duration = Duration::from_secs(2);

/// The file's routes and services that are in force.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// The routes.
    pub routes: Vec<Route>,
    /// The services.
    pub services: BTreeMap<ServiceKey, Service>,
}

impl From<&Proxy> for Known {
    fn from(proxy: &Proxy) -> Self {
        Self { routes: proxy.routes.clone(), services: proxy.services.iter().cloned().collect() }
    }
}

/// Watches the file and tells the proxy.
pub struct Reload {
    path: PathBuf,
    launch: Launch,
    host: Host,
    told: Arc<dyn Told>,
    stats: Stats,
    known: Known,
    /// What the file held at the start: keys that need a restart have these values.
    start: String,
    /// What it held last, or why it could not be read.
    last: Result<String, String>,
    /// What was last found wrong with it; nothing once it is good.
    faults: Vec<String>,
    /// What was last said to need a restart.
    restart: Vec<&'static str>,
}

impl Reload {
    /// Watches the file of these settings; `None` when there is no file.
    #[must_use]
    pub fn new(loaded: &Loaded, launch: Launch, host: Host, told: Arc<dyn Told>) -> Option<Self> {
        let (path, start) = loaded.file.clone()?;
        Some(Self {
            path,
            launch,
            host,
            told,
            stats: Stats::default(),
            known: loaded.settings.proxy.as_ref().map(Known::from).unwrap_or_default(),
            last: Ok(start.clone()),
            start,
            faults: Vec::new(),
            restart: Vec::new(),
        })
    }

    /// What it says about itself.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats.clone()
    }

    /// Tells every change of what stood in the file at the start, until `stop`.
    ///
    /// # Errors
    /// Never: a file that cannot be read is data.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut looks = interval(EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = looks.tick() => {}
            }
            let path = self.path.clone();
            let read = tokio::task::spawn_blocking(move || {
                let mut faults = Faults::default();
                let text = file::text(&path, &mut faults);
                faults.lines().next().map_or(Ok(text), |fault| Err(fault.to_owned()))
            });
            self.look(read.await.context("the thread that reads the file ended")?);
        }
    }

    /// Takes in what the file holds now.
    fn look(&mut self, read: Result<String, String>) {
        let is_new = read != self.last;
        // What it was refused for may lie elsewhere: a certificate's file that comes later.
        if !is_new && self.faults.is_empty() {
            return;
        }
        match &read {
            Ok(text) => self.reload(text, is_new),
            Err(fault) => self.refuse(vec![fault.clone()], is_new),
        }
        self.last = read;
    }

    fn reload(&mut self, text: &str, is_new: bool) {
        let understood = config::understand(&self.path, text, &self.launch, &self.host);
        match reloaded(&self.known, &self.start, text, understood) {
            Outcome::Good { change, restart } => {
                self.put(change);
                self.faults.clear();
                self.stats.succeeded();
                info!(
                    routes = self.known.routes.len(),
                    services = self.known.services.len(),
                    "the configuration file changed; its routes and services are in force"
                );
                if restart != self.restart && !restart.is_empty() {
                    let keys = restart.join(", ");
                    warn!(keys, "these keys changed too; restart Podmeter to put them in force");
                }
                self.restart = restart;
            }
            Outcome::Bad(faults) => {
                self.refuse(faults.lines().map(str::to_owned).collect(), is_new);
            }
        }
    }

    fn refuse(&mut self, faults: Vec<String>, is_new: bool) {
        let are_others = faults != self.faults;
        if is_new || are_others {
            self.stats.failed();
        }
        if are_others {
            for fault in &faults {
                warn!(fault, "the configuration file is wrong; the last good one stays in force");
            }
        }
        self.faults = faults;
    }

    /// New services go before the routes that name them, gone ones after the routes that did.
    fn put(&mut self, change: Change) {
        for (key, service) in change.services {
            self.told.service(&key, Some(service));
        }
        if let Some(routes) = change.routes {
            for fault in self.told.routes(Source::File, routes) {
                warn!(route = %fault.origin.name, reason = fault.reason, fault.sentence, "a route cannot be used");
            }
        }
        for key in change.gone {
            self.told.service(&key, None);
        }
        self.known = change.known;
    }
}

#[cfg(test)]
mod tests;
