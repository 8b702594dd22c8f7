//! Services and their pods, as the sources know them: plain data.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::labels::LabelSet;

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Port {
    /// `spec.ports[].port`.
    Number(u16),
    /// `spec.ports[].name`.
    Name(Arc<str>),
}

/// Names a Service and one of its ports.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceKey {
    /// Its namespace; empty for a service of the file that lists its addresses itself.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Which port.
    pub port: Port,
}

/// What is spoken to the pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1; HTTP/2 with prior knowledge for requests that are gRPC.
    #[default]
    Http1,
    /// HTTP/2 with prior knowledge (`appProtocol: kubernetes.io/h2c` or `grpc`).
    H2c,
}

/// How an endpoint may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Gets new requests.
    Ready,
    /// Being deleted and still answering: keeps its bound sessions, gets others only when no ready one exists.
    Terminating,
}

/// One pod behind a Service's port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What stays the same while it is the same pod: the uid, or the address where there is none.
    pub id: Arc<str>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its state.
    pub state: State,
    /// The node it runs on, if known.
    pub node: Option<Arc<str>>,
    /// The zone it runs in, if known.
    pub zone: Option<Arc<str>>,
    /// The labels of its series: `namespace pod node workload workload_kind`, then the pod's own.
    pub labels: Arc<LabelSet>,
}

/// Everything known of a Service's port; replaces what was known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// What its pods speak.
    pub protocol: Protocol,
    /// Whether TLS is spoken to the pods (`appProtocol: https`).
    pub tls: bool,
    /// Its pods, each once.
    pub endpoints: Vec<Endpoint>,
}
