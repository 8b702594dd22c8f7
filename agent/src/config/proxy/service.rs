//! `proxy.services`: services that list their addresses themselves.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use collector::labels::{Label, LabelSet};
use collector::pods::labels;
use collector::proxy::service::{Endpoint, Protocol, Service, ServiceKey, State};

use super::{fixed, is_object_name};
use crate::config::section::Section;

/// Longest name of an endpoint, a node or a zone, and longest value of a label.
const MAX_TEXT: usize = 253;
const NAME: &str = "a name; write lower-case letters, digits, - and ., at most 253 of them";
const ADDRESS: &str = "an IP address with a port; write one such as \"10.0.0.7:8080\"";

/// Labels by their key.
type Labels = BTreeMap<String, String>;

pub(super) fn read(proxy: &mut Section<'_>) -> Vec<(ServiceKey, Service)> {
    let mut names = HashSet::new();
    proxy.sections("services", None, |section| {
        let is_written = section.has("name");
        let name = section.parsed("name", NAME, |text| is_object_name(text).then(|| fixed(text)));
        if !is_written {
            section.wrong::<()>("name", "not set; routes name a service by it");
        }
        let name = name.filter(|name| {
            let is_new = names.insert(name.clone());
            if !is_new {
                section.wrong::<()>("name", format_args!("{:?} stands twice", &*name.name));
            }
            is_new
        });
        let service = service(section);
        Some((name?, service))
    })
}

fn service(section: &mut Section<'_>) -> Service {
    let protocol = section.parsed("protocol", "http1 or h2c", |text| match text {
        "http1" => Some(Protocol::Http1),
        "h2c" => Some(Protocol::H2c),
        _ => None,
    });
    let tls = section.flag("tls").unwrap_or_default();
    let labels = labels_of(section);
    let mut addresses = HashSet::new();
    let endpoints = section.sections("endpoints", Some("address"), |section| {
        let endpoint = endpoint(section, &labels)?;
        if !addresses.insert(endpoint.address) {
            return section.wrong("address", format_args!("{} stands twice", endpoint.address));
        }
        Some(endpoint)
    });
    Service { protocol: protocol.unwrap_or_default(), tls, endpoints }
}

fn endpoint(section: &mut Section<'_>, shared: &Labels) -> Option<Endpoint> {
    let is_written = section.has("address");
    let address: Option<SocketAddr> = section.parsed("address", ADDRESS, |text| {
        text.parse().ok().filter(|address: &SocketAddr| {
            address.port() != 0 && !address.ip().is_unspecified() && !address.ip().is_multicast()
        })
    });
    if !is_written {
        section.wrong::<()>("address", "not set; write one such as \"10.0.0.7:8080\"");
    }
    let name = short(section, "name");
    let node = short(section, "node");
    let zone = short(section, "zone");
    let mut labels = shared.clone();
    labels.extend(labels_of(section));
    let address = address?;
    let id: Arc<str> = address.to_string().into();
    let mut set = vec![Label::own("pod", name.unwrap_or_else(|| id.clone()))];
    set.extend(node.clone().map(|node| Label::own("node", node)));
    set.extend(labels::written(labels.iter().map(|(key, value)| (&**key, &**value))));
    let labels = Arc::new(LabelSet::new(set));
    Some(Endpoint { id, address, state: State::Ready, node, zone, labels })
}

fn short(section: &mut Section<'_>, key: &'static str) -> Option<Arc<str>> {
    let text = section.text(key)?;
    if text.len() > MAX_TEXT {
        return section.wrong(key, format_args!("has more than {MAX_TEXT} bytes"));
    }
    Some(text.into())
}

fn labels_of(section: &mut Section<'_>) -> Labels {
    let mut labels = Labels::new();
    for (key, value) in section.pairs("labels") {
        match value {
            _ if key.is_empty() || key.len() > MAX_TEXT => {
                section.wrong_pair::<()>("labels", &key, "no label's key; write one such as app");
            }
            Some(value) if value.len() <= MAX_TEXT => {
                labels.insert(key, value);
            }
            Some(_) => {
                let text = format_args!("has more than {MAX_TEXT} bytes");
                section.wrong_pair::<()>("labels", &key, text);
            }
            None => {
                section.wrong_pair::<()>("labels", &key, "nothing where a text is expected");
            }
        }
    }
    labels
}
