//! The `proxy` section: what the reverse proxy does, with the routes and services that stand in the file.
//!
//! Reading says what is wrong with single values; [`Proxy::checked`] what does not fit together.

mod check;
mod route;
mod service;
mod settings;
mod tls;

use std::net::IpAddr;
use std::sync::Arc;

use collector::proxy::route::Route;
use collector::proxy::service::{Port, Service, ServiceKey};
use collector::proxy::settings::Settings;
use collector::proxy::table::host;

use super::section::Section;

/// The proxy, checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proxy {
    /// What it is told at its start.
    pub settings: Settings,
    /// The file's routes; their names are unique, and a table can be made of them without a fault.
    pub routes: Vec<Route>,
    /// The file's services, each once.
    pub services: Vec<(ServiceKey, Service)>,
    /// The name of the `IngressClass` that is served; without one no Ingress is read.
    pub ingress_class: Option<Arc<str>>,
    /// The addresses that the status of Ingress objects tells: IP addresses and host names.
    pub publish: Vec<Arc<str>>,
}

/// Names a service of the file. It lists its addresses itself, so it has neither namespace nor port.
#[must_use]
pub fn fixed(name: &str) -> ServiceKey {
    ServiceKey { namespace: Arc::default(), name: name.into(), port: Port::Number(0) }
}

/// Reads the section. The node's name is not known yet.
pub(super) fn read(proxy: &mut Section<'_>) -> Proxy {
    let settings = settings::read(proxy);
    let ingress_class = proxy.parsed(
        "ingress_class",
        "the name of an IngressClass; see kubectl get ingressclasses",
        |text| is_object_name(text).then(|| text.into()),
    );
    let publish = proxy.parsed_list("publish_address", "an IP address or a host name", published);
    let services = service::read(proxy);
    let routes = route::read(proxy, &services);
    Proxy { settings, routes, services, ingress_class, publish }
}

/// What a client reaches the node by.
fn published(text: &str) -> Option<Arc<str>> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_string().into());
    }
    let (host, port) = host(text)?;
    (port.is_none() && !text.starts_with('[')).then(|| host.into())
}

/// A DNS subdomain, as the API wants the names of most objects.
fn is_object_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

/// A DNS label, as the API wants the names of Services and namespaces.
fn is_label(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(is_legal)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests;
