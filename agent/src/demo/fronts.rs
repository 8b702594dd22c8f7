//! What leads to the demo's HTTP pods, in the API's words: `IngressClass`, Ingresses, Services and their endpoints.

use serde_json::{Value, json};

use super::objects::State;
use super::plan::{CLASS, Front, NODE, Plan};

/// A port's name, the same in Service and slice.
const PORT: &str = "http";
/// The Services' own port; nobody listens there, as in a cluster.
const SERVICE_PORT: u16 = 80;

/// The class that the proxy serves.
#[must_use]
pub fn class() -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": CLASS},
        "spec": {"controller": "podmeter.io/proxy"},
    })
}

/// The Ingress of a host.
#[must_use]
pub fn ingress(front: &Front, created: &str) -> Value {
    let backend = json!({"service": {"name": front.component, "port": {"name": PORT}}});
    let paths = front
        .paths
        .iter()
        .map(|path| json!({"path": path, "pathType": "Prefix", "backend": backend}));
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {
            "name": front.application, "namespace": front.application, "uid": super::tree::uuid(), "creationTimestamp": created,
        },
        "spec": {
            "ingressClassName": CLASS,
            "rules": [{"host": front.host(), "http": {"paths": paths.collect::<Vec<_>>()}}],
        },
    })
}

/// The Service before the pods of a component, whatever their version.
#[must_use]
pub fn service(front: &Front) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": front.component, "namespace": front.application},
        "spec": {
            "selector": {"application": front.application, "component": front.component},
            "ports": [{"name": PORT, "port": SERVICE_PORT, "targetPort": PORT, "protocol": "TCP"}],
        },
    })
}

/// Where the Service's pods listen, as the endpoints' controller writes it.
pub fn slice<'a>(
    front: &Front,
    port: u16,
    pods: impl Iterator<Item = (&'a Plan, &'a State)>,
) -> Value {
    let endpoints = pods.filter(|(plan, _)| front.has(plan)).map(|(plan, state)| {
        let is_ready = state.running.is_some();
        json!({
            "addresses": [state.ip.to_string()],
            "conditions": {"ready": is_ready, "serving": is_ready, "terminating": false},
            "targetRef": {"kind": "Pod", "namespace": plan.application, "name": plan.name(), "uid": state.uid},
            "nodeName": NODE,
        })
    });
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{}-demo", front.component), "namespace": front.application,
            "labels": {"kubernetes.io/service-name": front.component},
        },
        "addressType": "IPv4",
        "ports": [{"name": PORT, "port": port, "protocol": "TCP"}],
        "endpoints": endpoints.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::demo::plan::{FRONTS, plans};

    #[test]
    fn a_pod_between_two_containers_is_in_its_slice_and_not_ready() {
        let plans = plans();
        let states: Vec<State> = (0_u8..)
            .zip(&plans)
            .map(|(at, plan)| State {
                uid: plan.name(),
                ip: Ipv4Addr::new(127, 10, 0, at),
                created: String::new(),
                running: (plan.version == "stable").then(Default::default),
                restarts: 0,
                last: None,
            })
            .collect();
        let slice = slice(&FRONTS[0], 8080, plans.iter().zip(&states));
        let ready: Vec<_> = slice["endpoints"]
            .as_array()
            .unwrap()
            .iter()
            .map(|endpoint| {
                let name = endpoint["targetRef"]["name"].as_str().unwrap();
                (name.contains("canary"), endpoint["conditions"]["ready"].as_bool().unwrap())
            })
            .collect();
        assert_eq!(ready.len(), 2);
        assert!(ready.contains(&(true, false)) && ready.contains(&(false, true)), "{ready:?}");
    }
}
