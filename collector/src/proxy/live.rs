//! What is in force: the compiled routes and the pods behind them, swapped whole.
//!
//! [`Registry`] takes what the sources tell and builds; workers only ever read a [`Live`].

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::watch;

use super::affinity::EndpointTag;
use super::backend::{Backend, Key};
use super::balance::Pods;
use super::balance::budget::Budget;
use super::clock;
use super::route::{Action, Fault, Host, Origin, Path, Route, Source};
use super::service::{Endpoint, Service, ServiceKey, State};
use super::settings::{Prefer, Settings};
use super::stats::{RouteStats, Stats};
use super::table::Table;

/// The bounds of a route, none left to guess.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) idle: Duration,
    /// For all of a request, if bounded.
    pub(crate) request: Option<Duration>,
    /// Most bytes of a request's body; `u64::MAX` for no bound.
    pub(crate) body: u64,
}

/// A route, ready to use.
#[derive(Debug)]
pub(crate) struct LiveRoute {
    pub(crate) stats: Arc<RouteStats>,
    /// By weight, in the order of the route's action.
    pub(crate) services: Vec<Arc<LiveService>>,
    pub(crate) bounds: Bounds,
}

/// A Service's port, ready to use. The pods behind it change without the routes being built anew.
#[derive(Debug)]
pub(crate) struct LiveService {
    pub(crate) key: ServiceKey,
    /// `None` until a source has told about it.
    pub(crate) pods: ArcSwapOption<Pods>,
    pub(crate) budget: Budget,
}

/// Everything that a request is looked up in.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) table: Table,
    /// In the order of [`Table::routes`].
    pub(crate) routes: Vec<LiveRoute>,
    /// What is counted of configured hosts where no path matches.
    pub(crate) hosts: HashMap<Host, Arc<RouteStats>>,
    /// Every source that is to be waited for has told its routes.
    pub(crate) is_complete: bool,
}

impl Live {
    /// What is counted of a configured host where no path matches.
    pub(crate) fn host(&self, host: &str) -> Option<&Arc<RouteStats>> {
        let exact = || self.hosts.get(&Host::Exact(host.into()));
        let wildcard = || self.hosts.get(&Host::Wildcard(host.split_once('.')?.1.into()));
        exact().or_else(wildcard)
    }
}

/// Builds what is in force.
pub(crate) struct Registry {
    settings: Arc<Settings>,
    stats: Stats,
    workers: usize,
    /// Sources whose routes are needed before requests are served.
    awaited: BTreeSet<Source>,
    live: ArcSwap<Live>,
    state: Mutex<Known>,
    wanted: watch::Sender<Arc<BTreeSet<ServiceKey>>>,
    /// What of the Ingresses' routes cannot be used.
    refused: watch::Sender<Arc<Vec<Fault>>>,
}

#[derive(Default)]
struct Known {
    routes: BTreeMap<Source, Vec<Route>>,
    services: HashMap<ServiceKey, Arc<LiveService>>,
    told: HashMap<ServiceKey, Service>,
    backends: HashMap<Key, Weak<Backend>>,
    /// The zone of this node, once one of its pods told.
    zone: Option<Arc<str>>,
}

impl Registry {
    pub(crate) fn new(
        settings: Arc<Settings>,
        stats: Stats,
        workers: usize,
        awaited: BTreeSet<Source>,
    ) -> Self {
        let live = Live { is_complete: awaited.is_empty(), ..Live::default() };
        Self {
            settings,
            stats,
            workers,
            awaited,
            live: ArcSwap::from_pointee(live),
            state: Mutex::default(),
            wanted: watch::Sender::default(),
            refused: watch::Sender::default(),
        }
    }

    /// What is in force now.
    pub(crate) fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    pub(crate) fn wanted(&self) -> watch::Receiver<Arc<BTreeSet<ServiceKey>>> {
        self.wanted.subscribe()
    }

    pub(crate) fn refused(&self) -> watch::Receiver<Arc<Vec<Fault>>> {
        self.refused.subscribe()
    }

    /// Every backend that is in use, for keeping its idle connections in bounds.
    pub(crate) fn backends(&self) -> Vec<Arc<Backend>> {
        self.lock().backends.values().filter_map(Weak::upgrade).collect()
    }

    /// All routes of a source.
    pub(crate) fn routes(&self, source: Source, routes: Vec<Route>) -> Vec<Fault> {
        let mut state = self.lock();
        state.routes.insert(source, routes);
        let all = state.routes.values().flatten().cloned().collect();
        let (table, faults) = Table::build(all);
        let wanted = table.services();
        self.want(&mut state, &wanted);
        let routes = table.routes().iter().map(|route| self.route(route, &state)).collect();
        let hosts = table.routes().iter().map(|route| (route.host.clone(), self.host(route)));
        let live = Live {
            hosts: hosts.collect(),
            routes,
            table,
            is_complete: self.awaited.iter().all(|source| state.routes.contains_key(source)),
        };
        self.live.store(Arc::new(live));
        // Under the lock, so that the last word is that of the last routes.
        let wanted = Arc::new(wanted);
        self.wanted.send_if_modified(|before| {
            let is_new = **before != *wanted;
            *before = wanted;
            is_new
        });
        let (ours, of_ingresses): (Vec<_>, Vec<_>) =
            faults.into_iter().partition(|fault| fault.origin.source == Source::File);
        self.refused.send_if_modified(|before| {
            let is_new = **before != of_ingresses;
            if is_new {
                *before = Arc::new(of_ingresses.clone());
            }
            is_new
        });
        match source {
            Source::File => ours,
            Source::Ingress => of_ingresses,
        }
    }

    /// Makes the services that are wanted, and forgets those that are not.
    fn want(&self, state: &mut Known, wanted: &BTreeSet<ServiceKey>) {
        let Known { services, told, .. } = state;
        services.retain(|key, _| wanted.contains(key));
        for key in wanted {
            services.entry(key.clone()).or_insert_with(|| {
                Arc::new(LiveService {
                    key: key.clone(),
                    pods: ArcSwapOption::empty(),
                    budget: Budget::new(&self.settings.retry, clock::now()),
                })
            });
        }
        // What the file told stays told, since it is told only once; the API server is asked again.
        told.retain(|key, _| wanted.contains(key) || key.namespace.is_empty());
        let again: Vec<_> =
            told.iter().map(|(key, service)| (key.clone(), service.clone())).collect();
        for (key, service) in again {
            if state.services.get(&key).is_some_and(|live| live.pods.load().is_none()) {
                self.arrange(state, &key, Some(&service));
            }
        }
        Self::sweep(state);
    }

    fn route(&self, route: &Route, state: &Known) -> LiveRoute {
        let (bounds, timeouts) = (&route.bounds, &self.settings.timeouts);
        let request = bounds.request.unwrap_or(timeouts.request);
        let body = bounds.body.unwrap_or(self.settings.limits.body_bytes);
        let services = match &route.action {
            Action::Forward(backends) => {
                backends.iter().filter_map(|(key, _)| state.services.get(key).cloned()).collect()
            }
            Action::Redirect(_) | Action::Refuse => Vec::new(),
        };
        LiveRoute {
            stats: self.stats.route(route),
            services,
            bounds: Bounds {
                connect: bounds.connect.unwrap_or(timeouts.connect),
                first_byte: bounds.first_byte.unwrap_or(timeouts.first_byte),
                idle: bounds.idle.unwrap_or(timeouts.idle),
                request: (!request.is_zero()).then_some(request),
                body: if body == 0 { u64::MAX } else { body },
            },
        }
    }

    /// What is counted of a route's host where no path matches.
    fn host(&self, route: &Route) -> Arc<RouteStats> {
        self.stats.route(&Route {
            origin: Origin {
                source: route.origin.source,
                namespace: Arc::default(),
                name: Arc::default(),
            },
            path: Path::Exact(Arc::default()),
            conditions: Vec::new(),
            ..route.clone()
        })
    }

    /// A Service; `None` when it is gone.
    pub(crate) fn service(&self, key: &ServiceKey, service: Option<Service>) {
        let mut state = self.lock();
        if Self::knows(&state, key, service.as_ref()) {
            return;
        }
        let has_moved =
            service.as_ref().is_some_and(|service| self.learn_zone(&mut state, service));
        self.arrange(&mut state, key, service.as_ref());
        match service {
            Some(service) => state.told.insert(key.clone(), service),
            None => state.told.remove(key),
        };
        if has_moved {
            let all: Vec<_> =
                state.told.iter().map(|(key, it)| (key.clone(), it.clone())).collect();
            for (key, service) in all {
                self.arrange(&mut state, &key, Some(&service));
            }
        }
        Self::sweep(&mut state);
    }

    /// Whether this was told before and is in force.
    fn knows(state: &Known, key: &ServiceKey, service: Option<&Service>) -> bool {
        let is_arranged = |live: &Arc<LiveService>| live.pods.load().is_some();
        state.told.get(key) == service && state.services.get(key).is_none_or(is_arranged)
    }

    /// Which zone this is: that of a pod of this node that has one. Whether that is news for what was told before.
    fn learn_zone(&self, state: &mut Known, service: &Service) -> bool {
        let is_ours = |endpoint: &&Endpoint| endpoint.node.as_ref() == Some(&self.settings.node);
        let mut ours = service.endpoints.iter().filter(is_ours);
        let Some(zone) = ours.find_map(|endpoint| endpoint.zone.as_ref()) else { return false };
        let is_new = state.zone.as_ref() != Some(zone);
        state.zone = Some(zone.clone());
        is_new && self.settings.prefer == Prefer::SameZone
    }

    fn arrange(&self, state: &mut Known, key: &ServiceKey, service: Option<&Service>) {
        let Some(live) = state.services.get(key).cloned() else { return };
        let mut pods = Pods::default();
        if let Some(service) = service {
            for endpoint in &service.endpoints {
                let backend = self.backend(state, Key::new(key, service, endpoint), endpoint);
                pods.by_tag.insert(EndpointTag::of(&endpoint.id), backend.clone());
                match endpoint.state {
                    State::Ready if self.is_near(endpoint, state.zone.as_ref()) => {
                        pods.near.push(backend.clone());
                        pods.ready.push(backend);
                    }
                    State::Ready => pods.ready.push(backend),
                    State::Terminating => pods.terminating.push(backend),
                }
            }
        }
        live.pods.store(Some(Arc::new(pods)));
    }

    fn is_near(&self, endpoint: &Endpoint, zone: Option<&Arc<str>>) -> bool {
        match self.settings.prefer {
            Prefer::None => false,
            Prefer::SameNode => endpoint.node.as_ref() == Some(&self.settings.node),
            Prefer::SameZone => zone.is_some() && endpoint.zone.as_ref() == zone,
        }
    }

    /// The backend of this key, with what is known of it; another only when it is another pod or port.
    fn backend(&self, state: &mut Known, key: Key, endpoint: &Endpoint) -> Arc<Backend> {
        // The same id has the same counts; telling the labels again puts changed ones on them.
        let counts = self.stats.backend(&endpoint.id, endpoint.labels.clone());
        if let Some(backend) = state.backends.get(&key).and_then(Weak::upgrade) {
            backend.labels.store(endpoint.labels.clone());
            backend.come_back();
            return backend;
        }
        let backend = Backend::new(key.clone(), endpoint.labels.clone(), counts, self.workers);
        let backend = Arc::new(backend);
        state.backends.insert(key, Arc::downgrade(&backend));
        backend
    }

    /// Lets go of backends that no Service lists.
    fn sweep(state: &mut Known) {
        let listed: BTreeSet<*const Backend> = state
            .services
            .values()
            .filter_map(|service| service.pods.load_full())
            .flat_map(|pods| {
                let all = pods.ready.iter().chain(&pods.terminating);
                all.map(Arc::as_ptr).collect::<Vec<_>>()
            })
            .collect();
        state.backends.retain(|_, backend| {
            let Some(backend) = backend.upgrade() else { return false };
            if !listed.contains(&Arc::as_ptr(&backend)) {
                backend.leave();
            }
            true
        });
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Whatever panicked, what is told next replaces it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
