//! What of the proxy would work: its addresses and files, and what the API server has for it.
//!
//! Everything is opened as at a start, but no address is listened on for longer than a moment, and nothing is
//! written to the API server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use collector::api::health::Health;
use collector::proxy::control::{Authorities, Certificate, Told, ToldTls};
use collector::proxy::discovery::{Discovery, Status};
use collector::proxy::route::{Fault, Origin, Route, Source};
use collector::proxy::service::{Port, Service, ServiceKey, State};
use collector::proxy::settings::Settings;
use collector::proxy::start::{self, Proxy};
use collector::proxy::stats::Stats;
use collector::proxy::tls::{self, Files};
use tokio::sync::watch::Receiver;
use tokio::time::{sleep, timeout};

use super::{Finding, api, listening};
use crate::app;
use crate::config;
use crate::proxy::run;

/// Longest wait for routes, Services and certificates.
const WAIT: Duration = Duration::from_secs(10);
/// A trouble that lasts as long is not waited out.
const TROUBLE: Duration = Duration::from_secs(2);
/// Between two looks whether they are all there.
const LOOK: Duration = Duration::from_millis(20);
/// From here on a certificate's end is worth a word: those who renew by themselves do it earlier.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

const CERTIFICATE: &str = "proxy certificate";
const ROUTES: &str = "proxy routes";
const SERVICE: &str = "proxy service";

pub(super) async fn findings(settings: &config::Settings) -> Vec<Finding> {
    let Some(config) = &settings.proxy else { return Vec::new() };
    let all = [&config.settings.listen[..], &config.settings.listen_tls].concat();
    let mut findings = listening("proxy listen", &all, app::PROXY_LISTEN).await;
    match open(&config.settings) {
        Err(error) => {
            let source = std::error::Error::source(&error);
            let source = source.map(|source| format!(": {source}")).unwrap_or_default();
            let fix = "mend the file that it names; see docs/configuration.md";
            findings.push(Finding::failed("proxy", format!("{error}{source}"), fix));
        }
        Ok(proxy) => {
            let seen = Arc::new(Seen::new(proxy.control()));
            findings.extend(files(config, &*seen));
            findings.extend(cluster(settings, config, &seen).await);
            findings.extend(certificates(config, &proxy.state(), SystemTime::now()));
        }
    }
    findings
}

/// The proxy as these settings have it, without its sockets.
fn open(settings: &Settings) -> Result<Proxy, start::Error> {
    let settings =
        Settings { workers: 1, listen: Vec::new(), listen_tls: Vec::new(), ..settings.clone() };
    let stats = Stats::new(&settings.node, 1, settings.limits.series, Arc::<AtomicU64>::default());
    Proxy::open(settings, stats, None, BTreeSet::new())
}

/// What the configuration file and the files that it names hold.
fn files(config: &config::Proxy, told: &dyn Told) -> Vec<Finding> {
    for (key, service) in &config.services {
        told.service(key, Some(service.clone()));
    }
    // Faults of the file's own routes were told with the configuration.
    told.routes(Source::File, config.routes.clone());
    let faults = Files::new(&config.settings.tls).load(told);
    let finding = |fault: &Fault| {
        let says = format!("{}: {}", fault.origin.name, fault.sentence);
        if tls::is_note(fault) {
            Finding::degraded(
                CERTIFICATE,
                says,
                "put another one in its place; it is used as it is",
            )
        } else {
            Finding::failed(CERTIFICATE, says, "mend it, or put another one in its place")
        }
    };
    faults.iter().map(finding).collect()
}

/// What the API server has for it.
async fn cluster(
    settings: &config::Settings,
    config: &config::Proxy,
    seen: &Arc<Seen>,
) -> Vec<Finding> {
    let client = match app::connect(settings).await {
        Ok(Some(client)) if api::learns(config) => client,
        // What else is wrong with the way there, the rights have told.
        _ => return seen.routes(),
    };
    let Ok(watching) = app::watching(settings) else { return Vec::new() };
    let learning = run::learning(settings, config, watching.rules);
    let (discovery, status) =
        Discovery::new(client, learning, Arc::<Health>::default(), seen.clone());
    let is_known = async {
        let mut in_trouble = Duration::ZERO;
        while (!status.is_ready() || !seen.is_told()) && in_trouble < TROUBLE {
            sleep(LOOK).await;
            in_trouble =
                if status.trouble().is_some() { in_trouble + LOOK } else { Duration::ZERO };
        }
    };
    discovery
        .look(async {
            let _ = timeout(WAIT, is_known).await;
        })
        .await;
    let mut findings = seen.routes();
    findings.extend(status.faults().iter().map(fault));
    if status.is_ready() {
        findings.extend(seen.services());
    } else {
        findings.push(unknown(&status));
    }
    findings
}

fn fault(Fault { origin, reason, sentence }: &Fault) -> Finding {
    let Origin { namespace, name, .. } = origin;
    Finding::degraded(
        ROUTES,
        format!("{namespace}/{name}: {sentence} ({reason})"),
        "mend the object; docs/ingress.md says what can be used",
    )
}

fn unknown(status: &Status) -> Finding {
    let why = status.trouble().map_or_else(
        || format!("the API server has not told of all within {} s", WAIT.as_secs()),
        |trouble| trouble.to_string(),
    );
    let says = format!("not all are known: {why}");
    Finding::degraded(ROUTES, says, api::OTHERWISE)
}

/// Those that end, and the rest as a number.
fn certificates(config: &config::Proxy, state: &start::State, now: SystemTime) -> Vec<Finding> {
    if config.settings.listen_tls.is_empty() {
        return Vec::new();
    }
    let all = state.certificates();
    let ends = all.iter().filter_map(|(Origin { namespace, name, .. }, until)| {
        let name =
            if namespace.is_empty() { name.to_string() } else { format!("{namespace}/{name}") };
        ending(CERTIFICATE, &name, *until, now)
    });
    let lists = state
        .revocation_lists()
        .and_then(|until| ending(CERTIFICATE, "the revocation list", until, now));
    let mut findings: Vec<_> = ends.chain(lists).collect();
    findings.push(match all.iter().map(|(_, until)| *until).min() {
        None => Finding::degraded(
            CERTIFICATE,
            "there is none: every TLS handshake fails",
            "name some under proxy.tls.certificates, or as Secrets of Ingresses",
        ),
        Some(first) => {
            let first = humantime::format_rfc3339_seconds(first);
            Finding::ok(CERTIFICATE, format!("{} in all, the first ends at {first}", all.len()))
        }
    });
    findings
}

/// A word about one that ends soon. One that has ended is a fault already.
pub(super) fn ending(
    what: &'static str,
    name: &str,
    until: SystemTime,
    now: SystemTime,
) -> Option<Finding> {
    let left = until.duration_since(now).ok().filter(|left| *left < SOON)?;
    let says = format!("{name} ends in {} days", left.as_secs() / (24 * 3600));
    Some(Finding::degraded(what, says, "renew it"))
}

/// Passes on what is told and keeps the numbers.
struct Seen {
    inner: Arc<dyn Told>,
    of_file: AtomicUsize,
    of_ingresses: AtomicUsize,
    services: Mutex<BTreeMap<ServiceKey, Option<usize>>>,
}

impl Seen {
    fn new(inner: Arc<dyn Told>) -> Self {
        Self {
            inner,
            of_file: AtomicUsize::new(0),
            of_ingresses: AtomicUsize::new(0),
            services: Mutex::default(),
        }
    }

    fn told(&self) -> MutexGuard<'_, BTreeMap<ServiceKey, Option<usize>>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether each Service that a route names was told of.
    fn is_told(&self) -> bool {
        let told = self.told();
        self.inner.wanted().borrow().iter().all(|key| told.contains_key(key))
    }

    fn routes(&self) -> Vec<Finding> {
        let (file, ingresses) = (self.of_file.load(Relaxed), self.of_ingresses.load(Relaxed));
        if file + ingresses == 0 {
            let fix = "write proxy.routes, or proxy.ingress_class and an Ingress of that class";
            return vec![Finding::degraded(ROUTES, "there are none: every request gets 404", fix)];
        }
        vec![Finding::ok(ROUTES, format!("{file} of the file, {ingresses} of Ingresses"))]
    }

    /// Services that nobody is behind. Those that are not there are faults already.
    fn services(&self) -> Vec<Finding> {
        let told = self.told();
        let is_empty = |(key, ready): &(&ServiceKey, &Option<usize>)| {
            !key.namespace.is_empty() && **ready == Some(0)
        };
        let empty = told.iter().filter(is_empty).map(|(key, _)| {
            let ServiceKey { namespace, name, port } = key;
            let port = match port {
                Port::Number(number) => number.to_string(),
                Port::Name(name) => name.to_string(),
            };
            Finding::degraded(
                SERVICE,
                format!("{namespace}/{name}:{port} has no ready pod: its requests get 503"),
                format!("see kubectl -n {namespace} get endpointslices -l kubernetes.io/service-name={name}"),
            )
        });
        empty.collect()
    }
}

impl ToldTls for Seen {
    fn certificates(&self, source: Source, certificates: Vec<Certificate>) -> Vec<Fault> {
        self.inner.certificates(source, certificates)
    }

    fn authorities(&self, authorities: Authorities) -> Vec<Fault> {
        self.inner.authorities(authorities)
    }
}

impl Told for Seen {
    fn routes(&self, source: Source, routes: Vec<Route>) -> Vec<Fault> {
        let count = match source {
            Source::File => &self.of_file,
            Source::Ingress => &self.of_ingresses,
        };
        count.store(routes.len(), Relaxed);
        self.inner.routes(source, routes)
    }

    fn service(&self, key: &ServiceKey, service: Option<Service>) {
        let is_ready = |state: State| state == State::Ready;
        let ready = service.as_ref().map(|service| {
            service.endpoints.iter().filter(|endpoint| is_ready(endpoint.state)).count()
        });
        self.inner.service(key, service);
        self.told().insert(key.clone(), ready);
    }

    fn wanted(&self) -> Receiver<Arc<BTreeSet<ServiceKey>>> {
        self.inner.wanted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_end_that_is_near_is_worth_a_word() {
        let day = Duration::from_secs(24 * 3600);
        let now = SystemTime::UNIX_EPOCH + 100 * day;
        assert!(ending("c", "a", now + 15 * day, now).is_none());
        assert!(ending("c", "a", now - day, now).is_none(), "that is a fault already");
        let says = ending("c", "shop/tls", now + 3 * day, now).unwrap().says;
        assert_eq!(says, "shop/tls ends in 3 days");
    }
}
