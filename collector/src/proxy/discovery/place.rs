//! Where a Service's pods listen, the same from EndpointSlices and from Endpoints.

use std::net::IpAddr;
use std::sync::Arc;

use super::object::{Conditions, EndpointsObject, ObjectReference, SliceObject, SlicePort};
use crate::api::lax::{List, Text, Whole};
use crate::proxy::service::State;

/// Ports and the places that have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) ports: Vec<Listening>,
    pub(super) places: Vec<Place>,
}

/// A port of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listening {
    /// The Service port's name; empty for its only one.
    pub(super) name: Arc<str>,
    /// `None` for all ports.
    pub(super) number: Option<u16>,
    pub(super) app: Option<Arc<str>>,
}

/// One address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) ip: IpAddr,
    /// `None` for one that may not be used.
    pub(super) state: Option<State>,
    /// The server tells endings apart, so that what it says of this one is the last word.
    pub(super) is_certain: bool,
    /// The pod's name and uid.
    pub(super) pod: Option<(Arc<str>, Arc<str>)>,
    pub(super) node: Option<Arc<str>>,
    pub(super) zone: Option<Arc<str>>,
}

pub(super) fn of_slice(object: SliceObject) -> Slice {
    let is_address = matches!(object.address_type.as_str(), "IPv4" | "IPv6" | "");
    let endpoints = object.endpoints.0.into_iter().filter(|_| is_address);
    let places = endpoints.filter_map(|endpoint| {
        // Kubernetes defines the first address only; the others are never used by anyone.
        let ip = endpoint.addresses.0.first()?.parse().ok()?;
        let conditions = endpoint.conditions.into_inner();
        Some(Place {
            ip,
            state: state(&conditions),
            is_certain: truth(&conditions.serving).is_some(),
            pod: endpoint.target_ref.0.and_then(pod),
            node: endpoint.node_name.0,
            zone: endpoint.zone.0,
        })
    });
    Slice { places: places.collect(), ports: ports(&object.ports) }
}

pub(super) fn of_endpoints(object: EndpointsObject) -> Vec<Slice> {
    let subsets = object.subsets.0.into_iter().map(|subset| {
        let places = subset.addresses.0.into_iter().filter_map(|address| {
            Some(Place {
                ip: address.ip.as_str().parse().ok()?,
                state: Some(State::Ready),
                is_certain: false,
                pod: address.target_ref.0.and_then(pod),
                node: address.node_name.0,
                zone: None,
            })
        });
        Slice { places: places.collect(), ports: ports(&subset.ports) }
    });
    subsets.collect()
}

/// What is not said counts as the API's documentation has it: ready, and not about to end.
fn state(conditions: &Conditions) -> Option<State> {
    let is_ready = truth(&conditions.ready).unwrap_or(true);
    if truth(&conditions.terminating).unwrap_or(false) {
        let is_serving = truth(&conditions.serving).unwrap_or(is_ready);
        is_serving.then_some(State::Terminating)
    } else {
        is_ready.then_some(State::Ready)
    }
}

fn truth(text: &Text) -> Option<bool> {
    match text.as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn pod(reference: ObjectReference) -> Option<(Arc<str>, Arc<str>)> {
    if !reference.kind.is("Pod") {
        return None;
    }
    Some((reference.name.0?, reference.uid.0?))
}

fn ports(list: &List<SlicePort>) -> Vec<Listening> {
    let tcp = list.0.iter().filter(|port| matches!(port.protocol.as_str(), "TCP" | ""));
    tcp.map(|port| Listening {
        name: port.name.0.clone().unwrap_or_default(),
        number: number(port.port),
        app: port.app_protocol.0.clone(),
    })
    .collect()
}

/// A port's number, if it is one.
pub(super) fn number(whole: Whole) -> Option<u16> {
    u16::try_from(whole.0?).ok().filter(|port| *port > 0)
}
