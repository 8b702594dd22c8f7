//! Whose counts there are, under which labels, and how long they stay after the last use.

#![expect(
    clippy::mutable_key_type,
    reason = "a label set's renderings are no part of its hash or its equality"
)]

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::base::Base;
use super::{BackendStats, RouteStats};
use crate::labels::{Label, LabelSet, cut};
use crate::proxy::route::{Host, Route};
use crate::schema::Scope;
use crate::snapshot::{Entity, Snapshot};

/// Scrapes that still have the last counts of what is gone: two, for there may be two scrapers.
const LAST_SCRAPES: u64 = 2;
/// When nobody scrapes, they go after this long.
const FORGET: Duration = Duration::from_secs(600);
/// Bytes of a host or a path in a label.
const MAX_VALUE: usize = 256;

/// All pods and routes that have counts.
#[derive(Debug, Default)]
pub(super) struct Registry {
    /// By id.
    backends: BTreeMap<Arc<str>, Kept<BackendStats>>,
    /// Which id has these labels. A StatefulSet's new pod has the labels of the old one, and two series with
    /// the same labels would make a scraper refuse them all.
    names: Names,
    /// By what their labels say, so that no two have the same.
    routes: BTreeMap<Said, Kept<RouteStats>>,
    /// Numbers of paths' templates, for as long as a route or a combination has the text.
    templates: HashMap<Arc<str>, u32>,
    next_template: u32,
}

#[derive(Debug)]
struct Kept<T> {
    stats: Arc<T>,
    /// What the labels were made from.
    given: Arc<LabelSet>,
    labels: Arc<LabelSet>,
    since: SystemTime,
    gone: Option<Gone>,
    /// Whether its series are shown: no other one has the same labels, or this one is newer.
    has_name: bool,
}

/// When nobody held it any more.
#[derive(Clone, Copy, Debug)]
struct Gone {
    scrapes: u64,
    at: SystemTime,
}

/// A label set by its content.
#[derive(Debug, PartialEq, Eq)]
struct Named(Arc<LabelSet>);

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.labels().hash(state);
    }
}

/// Ids by labels.
type Names = HashMap<Named, Arc<str>>;

/// Namespace, route, host, path.
type Said = [Arc<str>; 4];

impl Registry {
    pub(super) fn backend(
        &mut self,
        base: &Arc<Base>,
        id: &str,
        given: Arc<LabelSet>,
        now: SystemTime,
    ) -> Arc<BackendStats> {
        let id: Arc<str> = match self.backends.get_key_value(id) {
            Some((id, _)) => id.clone(),
            None => id.into(),
        };
        let kept = self.backends.entry(id.clone()).or_insert_with(|| {
            let stats = Arc::new(BackendStats::new(base.clone()));
            Kept::new(stats, Arc::default(), Arc::default(), now)
        });
        kept.gone = None;
        let stats = kept.stats.clone();
        if kept.has_name && (Arc::ptr_eq(&kept.given, &given) || kept.given == given) {
            return stats;
        }
        let is_new = kept.labels.labels().is_empty() || kept.given != given;
        if is_new {
            release(&mut self.names, &kept.labels, &id);
            kept.labels = Arc::new(base.words.backend(&given));
            kept.given = given;
        }
        let name = Named(kept.labels.clone());
        // The newest pod has the name, whoever had it before. One whose name was taken has it again only
        // when the other has ended.
        if is_new || !self.names.contains_key(&name) {
            kept.has_name = true;
            if let Some(other) = self.names.insert(name, id)
                && let Some(other) = self.backends.get_mut(&other)
            {
                other.has_name = false;
            }
        }
        stats
    }

    pub(super) fn route(
        &mut self,
        base: &Arc<Base>,
        route: &Route,
        now: SystemTime,
    ) -> Arc<RouteStats> {
        let host: Arc<str> = match &route.host {
            Host::Exact(host) => short(host),
            Host::Wildcard(suffix) => short(&format!("*.{suffix}").into()),
            Host::Any => "".into(),
        };
        let said: Said = [
            route.origin.namespace.clone(),
            route.origin.name.clone(),
            host,
            short(route.path.template()),
        ];
        if let Some(kept) = self.routes.get_mut(&said) {
            kept.gone = None;
            return kept.stats.clone();
        }
        let stats = Arc::new(RouteStats::new(base.clone(), self.template(&said[3])));
        let names = ["namespace", "route", "server_address", "http_route"];
        let labels = names.into_iter().zip(&said).filter(|(_, value)| !value.is_empty());
        let labels = labels.map(|(name, value)| Label::own(name, value.clone()));
        let labels =
            Arc::new(LabelSet::new([base.words.node.clone()].into_iter().chain(labels).collect()));
        let mut kept = Kept::new(stats.clone(), labels.clone(), labels, now);
        kept.has_name = true;
        self.routes.insert(said, kept);
        stats
    }

    fn template(&mut self, text: &Arc<str>) -> (u32, Arc<str>) {
        if let Some((text, number)) = self.templates.get_key_value(text) {
            return (*number, text.clone());
        }
        let number = self.next_template;
        self.next_template += 1;
        self.templates.insert(text.clone(), number);
        (number, text.clone())
    }

    /// Ends what nobody holds any more and what was scraped often enough since.
    pub(super) fn forget(&mut self, scrapes: u64, now: SystemTime) {
        let before = (self.backends.len(), self.routes.len());
        let names = &mut self.names;
        self.backends.retain(|id, kept| {
            let stays = !kept.is_over(scrapes, now);
            if !stays {
                release(names, &kept.labels, id);
            }
            stays
        });
        self.routes.retain(|_, kept| !kept.is_over(scrapes, now));
        if before != (self.backends.len(), self.routes.len()) {
            self.templates.retain(|text, _| Arc::strong_count(text) > 1);
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty_but_for_routes(&self, routes: usize) -> bool {
        self.backends.is_empty()
            && self.names.is_empty()
            && (self.routes.len(), self.templates.len()) == (routes, routes)
    }

    pub(super) fn emit(&self, snapshot: &mut Snapshot) {
        for kept in self.backends.values().filter(|kept| kept.has_name) {
            kept.stats.emit(snapshot, |snapshot| snapshot.add_entity(kept.entity(Scope::Backend)));
        }
        for kept in self.routes.values() {
            kept.stats.emit(snapshot, |snapshot| snapshot.add_entity(kept.entity(Scope::Route)));
        }
    }
}

impl<T> Kept<T> {
    fn new(stats: Arc<T>, given: Arc<LabelSet>, labels: Arc<LabelSet>, since: SystemTime) -> Self {
        Self { stats, given, labels, since, gone: None, has_name: false }
    }

    fn is_over(&mut self, scrapes: u64, now: SystemTime) -> bool {
        if Arc::strong_count(&self.stats) > 1 {
            self.gone = None;
            return false;
        }
        let gone = *self.gone.get_or_insert(Gone { scrapes, at: now });
        scrapes.saturating_sub(gone.scrapes) >= LAST_SCRAPES
            || now.duration_since(gone.at).is_ok_and(|past| past >= FORGET)
    }

    fn entity(&self, scope: Scope) -> Entity {
        Entity { scope, labels: self.labels.clone(), start: Some(self.since), cpu_cores: None }
    }
}

/// Gives a name back, if it is this one's.
fn release(owners: &mut Names, labels: &Arc<LabelSet>, id: &Arc<str>) {
    let name = Named(labels.clone());
    if owners.get(&name) == Some(id) {
        owners.remove(&name);
    }
}

fn short(text: &Arc<str>) -> Arc<str> {
    let kept = cut(text, MAX_VALUE);
    if kept.len() == text.len() { text.clone() } else { kept.into() }
}
