//! What is read of the API's objects for the proxy. Every field is lenient (see [`crate::api::lax`]).
//!
//! Secrets' types have no `Debug`, so that nothing of them can get into a log.

use serde::Deserialize;

use crate::api::lax::{Lax, List, Map, Text, Texts, Whole};
use crate::api::object::{Metadata, objects};

/// Bytes of an Ingress' annotation that are understood.
pub(super) const MAX_ANNOTATION: usize = 4_096;
/// Bytes of one that are kept: one that was cut can be told by its length.
pub(super) const KEPT_ANNOTATION: usize = MAX_ANNOTATION + 4;
/// Bytes of a path that are kept; longer ones than `ingress::path` takes are refused.
const MAX_PATH: usize = 2_048;
/// Bytes of one key of a Secret, as base64: the API takes Secrets of 1 MiB.
const MAX_SECRET: usize = 1_500_000;
/// Endpoints of one slice (the API allows 1,000) or of one subset.
const MAX_ENDPOINTS: usize = 4_096;

macro_rules! read {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $kind:ty),* $(,)? })+) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub(super) struct $name { $($(#[$attribute])* pub(super) $field: $kind),* }
    )+ };
}

read! {
    /// `networking.k8s.io/v1` Ingress.
    IngressObject {
        metadata: Lax<Metadata<Map<KEPT_ANNOTATION>>>,
        spec: Lax<IngressSpec>,
        status: Lax<IngressStatus>,
    }
    IngressSpec {
        ingress_class_name: Text,
        default_backend: Lax<BackendObject>,
        rules: List<RuleObject>,
        tls: List<TlsObject>,
    }
    RuleObject {
        host: Text,
        http: Lax<HttpObject>,
    }
    HttpObject {
        paths: List<PathObject>,
    }
    PathObject {
        path: Text<MAX_PATH>,
        path_type: Text,
        backend: Lax<BackendObject>,
    }
    BackendObject {
        service: Lax<ServiceReference>,
        resource: Lax<ObjectReference>,
    }
    ServiceReference {
        name: Text,
        port: Lax<PortReference>,
    }
    PortReference {
        name: Text,
        number: Whole,
    }
    TlsObject {
        hosts: Texts,
        secret_name: Text,
    }
    IngressStatus {
        load_balancer: Lax<LoadBalancer>,
    }
    LoadBalancer {
        ingress: List<PublishedAt>,
    }
    PublishedAt {
        ip: Text,
        hostname: Text,
    }

    /// `networking.k8s.io/v1` IngressClass.
    ClassObject {
        metadata: Lax<Metadata>,
        spec: Lax<ClassSpec>,
    }
    ClassSpec {
        controller: Text,
    }

    /// `v1` Service.
    ServiceObject {
        metadata: Lax<Metadata>,
        spec: Lax<ServiceSpec>,
    }
    ServiceSpec {
        #[serde(rename = "type")]
        kind: Text,
        ports: List<ServicePort>,
        selector: Map,
        ip_families: Texts,
    }
    ServicePort {
        name: Text,
        port: Whole,
        protocol: Text,
        target_port: Text,
        app_protocol: Text,
    }

    /// `discovery.k8s.io/v1` EndpointSlice.
    SliceObject {
        metadata: Lax<Metadata>,
        address_type: Text,
        ports: List<SlicePort>,
        endpoints: List<SliceEndpoint, MAX_ENDPOINTS>,
    }
    SlicePort {
        name: Text,
        port: Whole,
        protocol: Text,
        app_protocol: Text,
    }
    SliceEndpoint {
        addresses: Texts,
        conditions: Lax<Conditions>,
        target_ref: Lax<ObjectReference>,
        node_name: Text,
        zone: Text,
    }
    /// Each is `true`, `false` or not said.
    Conditions {
        ready: Text,
        serving: Text,
        terminating: Text,
    }
    ObjectReference {
        kind: Text,
        namespace: Text,
        name: Text,
        uid: Text,
    }

    /// `v1` Endpoints, less the addresses that are not ready.
    EndpointsObject {
        metadata: Lax<Metadata>,
        subsets: List<Subset>,
    }
    Subset {
        addresses: List<Address, MAX_ENDPOINTS>,
        ports: List<SlicePort>,
    }
    Address {
        ip: Text,
        node_name: Text,
        target_ref: Lax<ObjectReference>,
    }

    /// `v1` Pod, as far as an endpoint needs it.
    PodObject {
        metadata: Lax<Metadata>,
        spec: Lax<PodSpec>,
        status: Lax<PodStatus>,
    }
    PodSpec {
        node_name: Text,
    }
    PodStatus {
        conditions: List<Condition>,
    }
    Condition {
        #[serde(rename = "type")]
        kind: Text,
        status: Text,
    }
}

/// `v1` Secret.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SecretObject {
    pub(super) metadata: Lax<Metadata>,
    #[serde(rename = "type")]
    pub(super) kind: Text,
    pub(super) data: Lax<SecretData>,
}

/// The keys that are of use, in base64.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SecretData {
    #[serde(rename = "tls.crt")]
    pub(super) chain: Text<MAX_SECRET>,
    #[serde(rename = "tls.key")]
    pub(super) key: Text<MAX_SECRET>,
    #[serde(rename = "ca.crt")]
    pub(super) ca: Text<MAX_SECRET>,
    /// There and empty is not the same as absent: without a list nobody is revoked.
    #[serde(rename = "ca.crl")]
    pub(super) crl: Option<Text<MAX_SECRET>>,
}

objects!(IngressObject ClassObject ServiceObject SliceObject EndpointsObject PodObject SecretObject);
