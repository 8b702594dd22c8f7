//! One Service: what is known of it, and what the proxy is told of each of its ports.
//!
//! Pure: no I/O and no clock. A pod that is about to end counts as such the moment its own object says so,
//! and one that was deleted is out at once, whichever of the feeds is first.

mod known;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

pub(super) use known::Known;
use known::{Exposed, Said, Spec};

use super::fault::Reason;
use super::place::{Place, Slice};
use crate::labels::LabelSet;
use crate::pods::labels::Names;
use crate::pods::model::Workload;
use crate::proxy::service::{Endpoint, Port, Protocol, Service, State};

/// Pods of one Service.
const MAX_ENDPOINTS: usize = 4_096;

/// A Service's port cannot be used, and why.
pub(super) type Trouble = (Reason, String);

impl Known {
    /// What the proxy is to know of a port now; `None` as long as too little is known to say.
    ///
    /// `last` is what it was told before: endpoints that ended are kept from there, and allocations.
    pub(super) fn service(
        &self,
        port: &Port,
        last: Option<&Service>,
    ) -> Option<Result<Service, Trouble>> {
        let name = &self.name.name;
        let spec = match &self.spec {
            Said::Nothing => return None,
            Said::Absent => {
                return Some(Err((
                    Reason::ServiceMissing,
                    format!(
                        "there is no Service {name} in namespace {}; make it, or route elsewhere",
                        self.name.namespace
                    ),
                )));
            }
            Said::Present(spec) => spec,
        };
        if spec.is_external {
            let sentence = format!(
                "Service {name} is of type ExternalName, which has no pods; give it a selector, or an EndpointSlice of its own"
            );
            return Some(Err((Reason::ExternalName, sentence)));
        }
        let Some(exposed) = spec.port(port) else {
            let port = match port {
                Port::Number(number) => number.to_string(),
                Port::Name(name) => name.to_string(),
            };
            let sentence =
                format!("Service {name} has no TCP port {port}; write one of its spec.ports");
            return Some(Err((Reason::PortMissing, sentence)));
        };
        let slices = self.slices.as_ref()?;
        let slices: Vec<&Slice> = slices.values().flatten().collect();
        Some(Ok(self.build(spec, exposed, &slices, last)))
    }

    fn build(
        &self,
        spec: &Spec,
        exposed: &Exposed,
        slices: &[&Slice],
        last: Option<&Service>,
    ) -> Service {
        let before: HashMap<&str, &Endpoint> = last
            .iter()
            .flat_map(|last| &last.endpoints)
            .map(|endpoint| (&*endpoint.id, endpoint))
            .collect();
        let mut app = exposed.app.as_deref();
        let mut chosen: BTreeMap<Arc<str>, Endpoint> = BTreeMap::new();
        for slice in slices {
            let Some(listening) = slice.ports.iter().find(|port| port.name == exposed.name) else {
                continue;
            };
            app = app.or(listening.app.as_deref());
            let Some(number) = listening.number.or(exposed.target) else { continue };
            for place in &slice.places {
                if let Some(endpoint) = self.endpoint(place, number, &before) {
                    choose(&mut chosen, endpoint, spec.prefers_v6);
                }
            }
        }
        for endpoint in self.lingering(slices, &before) {
            chosen.entry(endpoint.id.clone()).or_insert(endpoint);
        }
        let (protocol, tls) = spoken(app);
        let endpoints = chosen.into_values().take(MAX_ENDPOINTS).collect();
        Service { protocol, tls, endpoints }
    }

    fn endpoint(
        &self,
        place: &Place,
        number: u16,
        before: &HashMap<&str, &Endpoint>,
    ) -> Option<Endpoint> {
        let uid = place.pod.as_ref().map(|(_, uid)| uid);
        if uid.is_some_and(|uid| self.gone.has(uid)) {
            return None;
        }
        let address = SocketAddr::new(place.ip, number);
        let pod = place.pod.as_ref().and_then(|(name, uid)| self.pod(name, uid));
        let state = match pod {
            // The pod's own word is often newer than the slice's.
            Some(pod) if pod.is_ending => {
                place.state.filter(|_| pod.is_ready).map(|_| State::Terminating)
            }
            _ => place.state,
        };
        let id = uid.cloned().unwrap_or_else(|| address.to_string().into());
        let labels = match pod {
            Some(pod) => pod.labels.clone(),
            None => self.fallback(place, address),
        };
        let same = before.get(&*id).map(|before| &before.labels).filter(|same| ***same == *labels);
        Some(Endpoint {
            address,
            state: state?,
            node: pod.and_then(|pod| pod.node.clone()).or_else(|| place.node.clone()),
            zone: place.zone.clone(),
            labels: same.cloned().unwrap_or(labels),
            id,
        })
    }

    /// Pods that are about to end, still answer, and are not mentioned any more: an API server without
    /// endings in its endpoints drops them there at the deletion.
    fn lingering<'a>(
        &'a self,
        slices: &'a [&Slice],
        before: &'a HashMap<&str, &Endpoint>,
    ) -> impl Iterator<Item = Endpoint> + 'a {
        let is_told = |uid: &str| {
            let places = slices.iter().flat_map(|slice| &slice.places);
            places
                .filter(|place| place.is_certain)
                .any(|place| place.pod.as_ref().is_some_and(|(_, mentioned)| **mentioned == *uid))
        };
        let ending = self.pods.values().filter(|pod| pod.is_ending && pod.is_ready);
        ending.filter(move |pod| !is_told(&pod.uid)).filter_map(|pod| {
            let last = *before.get(&*pod.uid)?;
            Some(Endpoint { state: State::Terminating, labels: pod.labels.clone(), ..last.clone() })
        })
    }

    /// The labels of an endpoint whose pod is not known, or that is no pod at all.
    fn fallback(&self, place: &Place, address: SocketAddr) -> Arc<LabelSet> {
        let (pod, workload) = match &place.pod {
            Some((name, _)) => (name.clone(), Workload::default()),
            // Two such addresses must not have the same series.
            None => (
                address.to_string().into(),
                Workload { kind: "Service".into(), name: self.name.name.clone() },
            ),
        };
        let names = Names {
            namespace: &self.name.namespace,
            pod: &pod,
            container: None,
            node: &place.node.clone().unwrap_or_default(),
            workload: &workload,
        };
        names.with(std::iter::empty())
    }
}

/// Keeps one endpoint of a pod that stands in several slices: a ready one before one about to end, then one of
/// the Service's first family of addresses, then the lowest address, so that it is the same one every time.
fn choose(chosen: &mut BTreeMap<Arc<str>, Endpoint>, endpoint: Endpoint, prefers_v6: bool) {
    let rank = |endpoint: &Endpoint| {
        let is_other_family = endpoint.address.is_ipv6() != prefers_v6;
        (endpoint.state == State::Terminating, is_other_family, endpoint.address)
    };
    match chosen.get(&endpoint.id) {
        Some(there) if rank(there) <= rank(&endpoint) => {}
        _ => {
            chosen.insert(endpoint.id.clone(), endpoint);
        }
    }
}

fn spoken(app: Option<&str>) -> (Protocol, bool) {
    match app {
        Some("kubernetes.io/h2c" | "grpc" | "kubernetes.io/grpc") => (Protocol::H2c, false),
        Some("https" | "kubernetes.io/https") => (Protocol::Http1, true),
        _ => (Protocol::Http1, false),
    }
}

/// Whether the proxy knows all of it already.
pub(super) fn same(a: &Service, b: &Service) -> bool {
    let same = |a: &Endpoint, b: &Endpoint| {
        (&a.id, a.address, a.state, &a.node, &a.zone)
            == (&b.id, b.address, b.state, &b.node, &b.zone)
            && (Arc::ptr_eq(&a.labels, &b.labels) || a.labels == b.labels)
    };
    a.protocol == b.protocol
        && a.tls == b.tls
        && a.endpoints.len() == b.endpoints.len()
        && a.endpoints.iter().zip(&b.endpoints).all(|(a, b)| same(a, b))
}

#[cfg(test)]
mod tests;
