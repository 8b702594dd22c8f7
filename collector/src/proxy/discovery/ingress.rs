//! An Ingress, understood: its routes, the Secrets of its hosts, and what of it cannot be used.
//!
//! Pure and total: any object gives what of it is good. Whether it is ours is decided in `super::core`,
//! whether what was good before stays in force in [`super::routes`].

mod annotation;
mod path;
mod value;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use annotation::{Options, Redirect};

use super::fault::{Reason, Report};
use super::name::Name;
use super::object::{
    BackendObject, IngressObject, LoadBalancer, PathObject, RuleObject, TlsObject,
};
use crate::api::lax::{Lax, List};
use crate::proxy::route::{Action, Fault, Host, Origin, Path, Route, Source};
use crate::proxy::service::ServiceKey;
use crate::proxy::table::Table;

/// Routes of one Ingress.
const MAX_ROUTES: usize = 1_024;
/// Regular expressions of one Ingress: each is tried for itself.
const MAX_REGEXES: usize = 64;
/// Where an Ingress named its class before there was a field for it.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// What is kept of an Ingress.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ingress {
    pub(super) origin: Origin,
    pub(super) uid: Arc<str>,
    pub(super) created: Option<SystemTime>,
    /// The classes it names, in the field and in the annotation; none for the default class.
    pub(super) classes: Vec<Arc<str>>,
    pub(super) routes: Vec<Route>,
    pub(super) tls: Vec<Tls>,
    pub(super) faults: Vec<Fault>,
    /// It asks for something that it must not be served without: what was good before must go, too.
    pub(super) refused: bool,
    /// Addresses in its status.
    pub(super) published: Vec<Arc<str>>,
}

/// Hosts and the Secret of their certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) secret: Name,
    /// None for those that the certificate names.
    pub(super) hosts: Vec<Arc<str>>,
}

impl Ingress {
    /// Whether it is written so badly that nothing of it can be used.
    pub(super) fn is_unusable(&self) -> bool {
        self.routes.is_empty() && !self.faults.is_empty() && !self.refused
    }
}

/// Reads an object; `None` for one without a name.
pub(super) fn read(object: IngressObject) -> Option<Ingress> {
    let metadata = object.metadata.into_inner();
    let name = Name::new(&metadata.namespace, &metadata.name)?;
    let origin = Origin {
        source: Source::Ingress,
        namespace: name.namespace.clone(),
        name: name.name.clone(),
    };
    let spec = object.spec.into_inner();
    let legacy = metadata.annotations.value(CLASS_ANNOTATION).cloned();
    let classes =
        spec.ingress_class_name.0.into_iter().chain(legacy.filter(|name| !name.is_empty()));
    let mut report = Report::new(origin.clone());
    let options = annotation::read(&metadata.annotations, &mut report);
    let tls = tls(&spec.tls, &name.namespace, &mut report);
    let mut reader = Reader {
        options: &options,
        tls: &spec.tls,
        report,
        routes: Vec::new(),
        is_full: false,
        regexes: 0,
    };
    let has_rules = spec.default_backend.0.is_some() || !spec.rules.0.is_empty();
    if !has_rules {
        reader.report.add(
            Reason::NoBackend,
            "there is neither a rule nor a defaultBackend; write one of them",
        );
    }
    let default =
        spec.default_backend.0.and_then(|backend| reader.action(backend, "defaultBackend"));
    reader.rules(spec.rules, default.as_ref());
    let Reader { mut routes, mut report, .. } = reader;
    // Its rules would otherwise take all of the main one's requests.
    if options.is_canary {
        routes.clear();
    }
    // What no table would take is told here, where it decides whether the last good version stays in force.
    let (table, refused) = Table::build(routes);
    report.extend(refused);
    Some(Ingress {
        origin,
        uid: metadata.uid.0.unwrap_or_default(),
        created: metadata.creation_timestamp.time(),
        classes: classes.collect(),
        routes: table.into_routes(),
        tls: if options.is_canary { Vec::new() } else { tls },
        faults: report.faults,
        refused: options.is_canary || options.is_guarded,
        published: published(object.status.into_inner().load_balancer),
    })
}

fn published(balancer: Lax<LoadBalancer>) -> Vec<Arc<str>> {
    let entries = balancer.into_inner().ingress.0.into_iter();
    entries.filter_map(|entry| entry.ip.0.or(entry.hostname.0)).collect()
}

/// The Secrets of the hosts, as far as they can be named.
fn tls(entries: &List<TlsObject>, namespace: &Arc<str>, report: &mut Report) -> Vec<Tls> {
    let mut all = Vec::new();
    let mut left_out = |count: u32, what: &str| {
        if count > 0 {
            report.add(Reason::TooMany, format!("{count} {what} are left out; use more Ingresses"));
        }
    };
    left_out(entries.1, "entries of tls");
    left_out(entries.0.iter().map(|entry| entry.hosts.1).sum(), "hosts of tls");
    for entry in &entries.0 {
        // Without a Secret the hosts have the proxy's own certificate.
        let Some(text) = &entry.secret_name.0 else { continue };
        let Some(secret) = Name::parse(namespace, text) else {
            report.add(
                Reason::CertificateMissing,
                format!("tls: {text:?} is not the name of a Secret"),
            );
            continue;
        };
        let mut hosts = Vec::new();
        for host in &entry.hosts.0 {
            match value::host(host) {
                Ok(Host::Exact(name)) => hosts.push(name),
                Ok(Host::Wildcard(name)) => hosts.push(format!("*.{name}").into()),
                Ok(Host::Any) => {}
                Err(why) => report.add(Reason::BadHost, format!("tls: {host:?} {why}")),
            }
        }
        all.push(Tls { secret, hosts });
    }
    all
}

/// Makes routes of rules.
struct Reader<'a> {
    options: &'a Options,
    tls: &'a List<TlsObject>,
    report: Report,
    routes: Vec<Route>,
    is_full: bool,
    regexes: usize,
}

impl Reader<'_> {
    fn rules(&mut self, rules: List<RuleObject>, default: Option<&Action>) {
        if rules.1 > 0 {
            self.report.add(
                Reason::TooMany,
                format!("{} rules are left out; use more Ingresses", rules.1),
            );
        }
        if let Some(default) = default {
            self.push(Host::Any, Path::Rest, default.clone());
        }
        for rule in rules.0 {
            self.rule(rule, default);
        }
    }

    fn rule(&mut self, rule: RuleObject, default: Option<&Action>) {
        let text = rule.host.as_str();
        let host = match value::host(text) {
            Ok(host) => host,
            Err(why) => return self.report.add(Reason::BadHost, format!("host {text:?} {why}")),
        };
        let paths = rule.http.into_inner().paths;
        if paths.1 > 0 {
            self.report.add(
                Reason::TooMany,
                format!("{} paths of host {text:?} are left out; use more Ingresses", paths.1),
            );
        }
        if paths.0.is_empty() {
            // All of such a host goes to the default backend.
            match default {
                Some(_) if host == Host::Any => {}
                Some(default) => self.push(host, Path::Prefix("/".into()), default.clone()),
                None => self.report.add(
                    Reason::NoBackend,
                    format!("host {text:?} has no paths and there is no defaultBackend; write one of them"),
                ),
            }
            return;
        }
        for entry in paths.0 {
            self.path(&host, entry);
        }
    }

    fn path(&mut self, host: &Host, entry: PathObject) {
        let read = if self.options.is_guarded { path::guarded } else { path::read };
        let path = match read(&entry, self.options.regex) {
            Ok(path) => path,
            Err(why) => {
                let shown: String = entry.path.as_str().chars().take(80).collect();
                return self.report.add(Reason::BadPath, format!("path {shown:?} {why}"));
            }
        };
        let place = format!("path {:?}", path.template());
        if let Some(action) = self.action(entry.backend.into_inner(), &place) {
            self.push(host.clone(), path, action);
        }
    }

    /// What is done with the requests for this backend.
    fn action(&mut self, backend: BackendObject, place: &str) -> Option<Action> {
        // Whatever it names: a neighbour's wider path would let them in otherwise.
        if self.options.is_guarded {
            return Some(Action::Refuse);
        }
        let service = self.backend(backend, place)?;
        Some(Action::Forward(match &self.options.canary {
            Some(((name, port), weight)) => {
                let other =
                    ServiceKey { name: name.clone(), port: port.clone(), ..service.clone() };
                vec![(service, 100 - weight), (other, *weight)]
            }
            None => vec![(service, 1)],
        }))
    }

    fn backend(&mut self, backend: BackendObject, place: &str) -> Option<ServiceKey> {
        let Some(service) = backend.service.0 else {
            let (reason, what) = match backend.resource.0 {
                Some(_) => {
                    (Reason::ResourceBackend, "has an object for a backend, which cannot be served")
                }
                None => (Reason::NoBackend, "has no backend"),
            };
            self.report.add(reason, format!("{place} {what}; name a Service and its port"));
            return None;
        };
        let port = service.port.into_inner();
        let name = Name::parse(&self.report.origin.namespace, service.name.as_str());
        let port = value::port(port.number.0, port.name.as_str());
        let Some((name, port)) = name.zip(port) else {
            self.report.add(
                Reason::BadService,
                format!("{place} names no Service with a port; write service.name, and service.port.number or service.port.name"),
            );
            return None;
        };
        Some(name.with(port))
    }

    fn push(&mut self, host: Host, path: Path, action: Action) {
        if self.routes.len() >= MAX_ROUTES {
            if !std::mem::replace(&mut self.is_full, true) {
                let sentence =
                    format!("only its first {MAX_ROUTES} paths are served; use more Ingresses");
                self.report.add(Reason::TooMany, sentence);
            }
            return;
        }
        if matches!(path, Path::Regex(_)) {
            self.regexes += 1;
            if self.regexes == MAX_REGEXES + 1 {
                let sentence = format!(
                    "only its first {MAX_REGEXES} regular expressions are served; use prefixes, or more Ingresses"
                );
                self.report.add(Reason::TooMany, sentence);
            }
            if self.regexes > MAX_REGEXES {
                return;
            }
        }
        let Options { rewrite, affinity, bounds, request, response, .. } = self.options;
        let mut affinity = affinity.clone();
        if let Some(affinity) = affinity.as_mut().filter(|affinity| affinity.path.is_empty()) {
            affinity.path = path.cookie();
        }
        self.routes.push(Route {
            origin: self.report.origin.clone(),
            https_only: self.is_https_only(&host),
            host,
            path,
            conditions: Vec::new(),
            action,
            rewrite: rewrite.clone(),
            request: request.clone(),
            response: response.clone(),
            affinity,
            bounds: bounds.clone(),
        });
    }

    fn is_https_only(&self, host: &Host) -> bool {
        let listed = || {
            let hosts = self.tls.0.iter().flat_map(|entry| &entry.hosts.0);
            hosts.filter_map(|name| value::host(name).ok()).any(|name| {
                name == *host
                    || matches!((&name, host), (Host::Wildcard(suffix), Host::Exact(name))
                        if name.split_once('.').is_some_and(|(_, rest)| rest == &**suffix))
            })
        };
        match self.options.redirect {
            Redirect::Never => false,
            Redirect::ForTls => listed(),
            Redirect::Always => true,
        }
    }
}

/// An address in a status, as the API writes it.
pub(super) fn address(text: &str) -> serde_json::Value {
    match text.parse::<IpAddr>() {
        Ok(_) => serde_json::json!({ "ip": text }),
        Err(_) => serde_json::json!({ "hostname": text }),
    }
}

/// The Services that a route goes to.
pub(super) fn services(route: &Route) -> impl Iterator<Item = &ServiceKey> {
    let all = match &route.action {
        Action::Forward(services) => services.as_slice(),
        Action::Redirect(_) | Action::Refuse => &[],
    };
    all.iter().map(|(key, _)| key)
}

#[cfg(test)]
mod tests;
