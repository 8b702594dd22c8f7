//! What discovery knows, and what it tells the proxy when that changes. No I/O and no clock.

mod certificates;
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::watch::Receiver;

use certificates::{Certificates, Clients};
use services::Services;

use super::Settings;
use super::backends::Known;
use super::fault::{About, Faults, Reason, fault};
use super::ingress::{self, Ingress};
use super::name::{Name, Subject};
use super::object::{
    ClassObject, EndpointsObject, IngressObject, PodObject, SecretObject, ServiceObject,
    SliceObject,
};
use super::routes::Routes;
use super::status::Status;
use crate::api::feed::Change;
use crate::api::health::{Health, Skipped};
use crate::api::outbox::Outbox;
use crate::pods::labels::Rules;
use crate::proxy::control::Told;
use crate::proxy::route::{Fault, Origin, Route, Source};
use crate::proxy::service::ServiceKey;

/// An Event that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) about: About,
    pub(super) fault: Fault,
    /// The Ingress' uid, by which `kubectl describe` finds its Events.
    pub(super) uid: Arc<str>,
}

/// What others need of it, each for itself.
pub(super) struct Links {
    pub(super) told: Arc<dyn Told>,
    pub(super) health: Arc<Health>,
    pub(super) status: Arc<Status>,
    pub(super) notices: Arc<Outbox<Notice>>,
    /// Ingresses whose status is to be written.
    pub(super) unpublished: Arc<Outbox<Name>>,
    /// Something else is to be followed now.
    pub(super) subjects: Arc<Notify>,
}

/// Everything known.
pub(super) struct Core {
    links: Links,
    rules: Rules,
    publish: BTreeSet<Arc<str>>,
    wanted: Receiver<Arc<BTreeSet<ServiceKey>>>,
    /// Endpoints are followed instead of slices; `None` until the server was asked.
    is_legacy: Option<bool>,
    /// `None` without a class.
    routes: Option<Routes>,
    /// The class is known, or was waited for long enough.
    is_class_settled: bool,
    told_routes: Option<Vec<Route>>,
    refused_routes: Vec<Fault>,
    certificates: Certificates,
    clients: Option<Clients>,
    services: Services,
    faults: Faults,
}

impl Core {
    pub(super) fn new(settings: &Settings, links: Links) -> Self {
        let authorities = settings.authorities.as_ref();
        let clients = authorities.and_then(|(namespace, name)| Name::parse(namespace, name));
        if settings.ingress_class.is_none() {
            links.status.listed();
        }
        let mut core = Self {
            wanted: links.told.wanted(),
            links,
            rules: settings.rules.clone(),
            publish: settings.publish.iter().cloned().collect(),
            is_legacy: None,
            routes: settings.ingress_class.clone().map(Routes::new),
            is_class_settled: false,
            told_routes: None,
            refused_routes: Vec::new(),
            certificates: Certificates::default(),
            clients: clients.map(Clients::new),
            services: Services::default(),
            faults: Faults::default(),
        };
        core.wanted();
        core
    }

    /// What is to be followed now.
    pub(super) fn subjects(&self) -> BTreeSet<Subject> {
        let mut subjects = BTreeSet::new();
        if self.routes.is_some() {
            subjects.insert(Subject::Classes);
            if self.is_class_settled {
                subjects.insert(Subject::Ingresses);
            }
        }
        subjects.extend(self.certificates.names().cloned().map(Subject::Secret));
        subjects.extend(self.clients.as_ref().map(|it| Subject::Authorities(it.name().clone())));
        for (name, known) in self.services.known() {
            subjects.insert(Subject::Service(name.clone()));
            subjects.extend(self.is_legacy.map(|is_legacy| {
                let name = name.clone();
                if is_legacy { Subject::Endpoints(name) } else { Subject::Slices(name) }
            }));
            let selector = known.selector().cloned();
            subjects.extend(selector.map(|selector| Subject::Pods(name.clone(), selector)));
        }
        subjects
    }

    /// Whether the server has EndpointSlices in v1 is known.
    pub(super) fn slices_are_served(&mut self, served: bool) {
        self.is_legacy = Some(!served);
        self.links.subjects.notify_one();
    }

    /// The class does not come: go on with its name alone.
    pub(super) fn class_is_late(&mut self) {
        self.is_class_settled = true;
        self.links.subjects.notify_one();
    }

    pub(super) fn classes(&mut self, changes: Vec<Change<ClassObject>>) {
        let Some(routes) = &mut self.routes else { return };
        routes.classes(changes);
        self.is_class_settled = true;
        self.links.subjects.notify_one();
        if self.told_routes.is_some() {
            self.routes_changed();
        }
    }

    pub(super) fn ingresses(&mut self, changes: Vec<Change<IngressObject>>) {
        let Some(routes) = &mut self.routes else { return };
        routes.ingresses(changes);
        self.links.health.skip(Skipped::Bounded, std::mem::take(&mut routes.left_out));
        self.links.status.listed();
        self.routes_changed();
    }

    fn routes_changed(&mut self) {
        let Some(routes) = &self.routes else { return };
        let unpublished = routes.ours().into_iter().filter(|ingress| self.is_unpublished(ingress));
        for ingress in unpublished {
            if let Some(name) = Name::parse(&ingress.origin.namespace, &ingress.origin.name) {
                self.links.unpublished.push(name);
            }
        }
        self.certificates.want(routes.tls());
        let now = routes.routes();
        if self.told_routes.as_ref() != Some(&now) {
            self.refused_routes = self.links.told.routes(Source::Ingress, now.clone());
            self.told_routes = Some(now);
        }
        self.certificates.tell(&*self.links.told);
        // Telling routes may have changed what is wanted, so this goes last.
        self.wanted();
    }

    /// Looks anew at which Services are wanted.
    pub(super) fn wanted(&mut self) {
        let wanted = self.wanted.borrow_and_update().clone();
        self.services.want(&wanted, &*self.links.told);
        self.links.subjects.notify_one();
        self.settle();
    }

    pub(super) fn secret(&mut self, name: &Name, changes: Vec<Change<SecretObject>>) {
        self.certificates.heard(name, changes);
        self.certificates.tell(&*self.links.told);
        self.settle();
    }

    pub(super) fn authorities(&mut self, changes: Vec<Change<SecretObject>>) {
        if let Some(clients) = &mut self.clients {
            clients.heard(changes, &*self.links.told);
        }
        self.settle();
    }

    pub(super) fn service(&mut self, name: &Name, changes: Vec<Change<ServiceObject>>) {
        self.known(name, |known| known.services(changes));
        // Its selector may be another one.
        self.links.subjects.notify_one();
    }

    pub(super) fn slices(&mut self, name: &Name, changes: Vec<Change<SliceObject>>) {
        self.known(name, |known| known.slices(changes));
    }

    pub(super) fn endpoints(&mut self, name: &Name, changes: Vec<Change<EndpointsObject>>) {
        self.known(name, |known| known.endpoints(changes));
    }

    pub(super) fn pods(&mut self, name: &Name, changes: Vec<Change<PodObject>>) {
        let (rules, health) = (self.rules.clone(), self.links.health.clone());
        self.known(name, |known| {
            known.pods(changes, &rules, |reason| health.skip(reason, 1));
        });
    }

    fn known(&mut self, name: &Name, change: impl FnOnce(&mut Known)) {
        if self.services.change(name, &*self.links.told, change) {
            self.settle();
        } else {
            self.complete();
        }
    }

    /// Counts up what cannot be used, and whether all is known that has to be.
    fn settle(&mut self) {
        let new = self.faults.replace(self.all_faults());
        self.links.status.set_faults(self.faults.all());
        for (about, fault) in new {
            let Origin { source, namespace, name } = &fault.origin;
            let name = Name::parse(namespace, name).filter(|_| *source == Source::Ingress);
            if let Some(ingress) = name.and_then(|name| self.routes.as_ref()?.find(&name)) {
                let uid = ingress.uid.clone();
                self.links.notices.push(Notice { about, fault, uid });
            }
        }
        self.complete();
    }

    fn complete(&self) {
        if (self.routes.is_none() || self.told_routes.is_some())
            && self.services.is_complete()
            && self.certificates.is_complete()
            && self.clients.as_ref().is_none_or(Clients::is_heard)
        {
            self.links.status.complete();
        }
    }

    /// What is wrong with a Secret or a Service is told of each Ingress that names it.
    fn all_faults(&self) -> Vec<(About, Fault)> {
        let mut all = Vec::new();
        let ours = self.routes.as_ref().map(Routes::ours).unwrap_or_default();
        if let Some(routes) = &self.routes {
            all.extend(routes.faults().into_iter().map(|fault| (About::Route, fault)));
        }
        all.extend(self.refused_routes.iter().cloned().map(|fault| (About::Route, fault)));
        let by_secret = by_secret(&ours);
        let secret_spread = |name: &Name, reason: &'static str, sentence: &str| {
            let origins = by_secret.get(name).map(Vec::as_slice).unwrap_or_default();
            let fault = |origin: &&Origin| Fault {
                origin: (*origin).clone(),
                reason,
                sentence: sentence.to_owned(),
            };
            origins.iter().map(fault).map(|fault| (About::Certificate, fault)).collect::<Vec<_>>()
        };
        for (name, (reason, sentence)) in self.certificates.troubles() {
            all.extend(secret_spread(name, reason.as_str(), sentence));
        }
        for name in self.certificates.excess() {
            let sentence = format!("Secret {} is left out: there are too many", name.name);
            all.extend(secret_spread(name, Reason::TooMany.as_str(), &sentence));
        }
        // What of a Secret was refused is not what it holds any more when it holds nothing of use now.
        let useless: BTreeSet<&Name> = self.certificates.troubles().map(|(name, _)| name).collect();
        for Fault { origin, reason, sentence } in self.certificates.refused() {
            let name = Name { namespace: origin.namespace.clone(), name: origin.name.clone() };
            if useless.contains(&name) {
                continue;
            }
            all.extend(secret_spread(&name, reason, &format!("Secret {}: {sentence}", name.name)));
        }
        if let Some(clients) = &self.clients {
            all.extend(clients.faults().into_iter().map(|fault| (About::Certificate, fault)));
        }
        let troubles = self.services.troubles();
        if !troubles.is_empty() {
            let by_service = by_service(&ours);
            for (name, (reason, sentence)) in troubles {
                // A route of the file has no Ingress: the Service stands for it.
                let own = Origin {
                    source: Source::File,
                    namespace: name.namespace.clone(),
                    name: name.name.clone(),
                };
                let none = vec![&own];
                let origins = by_service.get(name).unwrap_or(&none);
                let faults = origins.iter().map(|origin| fault(origin, reason, sentence.as_str()));
                all.extend(faults.map(|fault| (About::Service, fault)));
            }
        }
        all
    }

    fn is_unpublished(&self, ingress: &Ingress) -> bool {
        !self.publish.is_empty()
            && self.publish != ingress.published.iter().cloned().collect::<BTreeSet<_>>()
    }

    /// Whether the status of an Ingress of ours is still to be written.
    pub(super) fn lacks_status(&self, name: &Name) -> bool {
        let ingress = self.routes.as_ref().and_then(|routes| routes.find(name));
        ingress.is_some_and(|ingress| self.is_unpublished(ingress))
    }
}

fn by_secret<'a>(ours: &[&'a Ingress]) -> BTreeMap<&'a Name, Vec<&'a Origin>> {
    let mut all: BTreeMap<&Name, Vec<&Origin>> = BTreeMap::new();
    for ingress in ours {
        for tls in &ingress.tls {
            all.entry(&tls.secret).or_default().push(&ingress.origin);
        }
    }
    all
}

fn by_service<'a>(ours: &[&'a Ingress]) -> BTreeMap<Name, Vec<&'a Origin>> {
    let mut all: BTreeMap<Name, Vec<&Origin>> = BTreeMap::new();
    for ingress in ours {
        let keys = ingress.routes.iter().flat_map(ingress::services);
        let names: BTreeSet<Name> = keys.filter_map(Name::of).collect();
        for name in names {
            all.entry(name).or_default().push(&ingress.origin);
        }
    }
    all
}

#[cfg(test)]
mod tests;
