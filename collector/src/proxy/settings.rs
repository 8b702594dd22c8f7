//! What the proxy is told once, at its start.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

/// How a pod is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// The better of two drawn at random, by peak-EWMA latency times requests under way.
    #[default]
    PeakEwma,
    /// One after the other.
    RoundRobin,
    /// The one with the fewest requests under way.
    LeastRequest,
}

/// Which pods are preferred while there are ready ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefer {
    /// All alike.
    #[default]
    None,
    /// Those on this node, then all.
    SameNode,
    /// Those in this node's zone, then all.
    SameZone,
}

/// Where the authorities are written that sign clients' certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthoritiesFrom {
    /// PEM files, read again when they change.
    Files {
        /// The authorities.
        ca: PathBuf,
        /// Their revocation lists.
        crl: Option<PathBuf>,
    },
    /// A Secret with `ca.crt` and, for revocation lists, `ca.crl`.
    Secret {
        /// Its namespace.
        namespace: Arc<str>,
        /// Its name.
        name: Arc<str>,
    },
}

/// Whether clients show certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// Who signs them.
    pub authorities: AuthoritiesFrom,
    /// Whether a client without one is refused.
    pub required: bool,
}

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CertificateFiles {
    /// The chain, the host's own certificate first.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// TLS from clients and to pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// By SNI; the first is also for clients that name no host or one that is not known.
    pub certificates: Vec<CertificateFiles>,
    /// Client certificates, for every TLS listener.
    pub clients: Option<ClientCertificates>,
    /// PEM file of the authorities that sign pods' certificates; without one pods' certificates are not
    /// checked, since they name no address that could be checked.
    pub backend_ca: Option<PathBuf>,
}

/// Longest waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection to a pod. Default 1 s.
    pub connect: Duration,
    /// For the head of a pod's answer. Default 60 s.
    pub first_byte: Duration,
    /// Without a byte of a body, either way, and of an upgraded connection. Default 60 s; upgraded 1 h.
    pub idle: Duration,
    /// Without a byte of an upgraded connection. Default 1 h.
    pub tunnel: Duration,
    /// For a whole request; zero for no bound, which is the default.
    pub request: Duration,
    /// For the head of a client's request from its first byte on, a TLS handshake and a PROXY header. Default 10 s.
    pub client_head: Duration,
    /// Between two requests of a client's connection. Default 75 s.
    pub client_idle: Duration,
    /// For a kept connection to a pod. Default 4 s, below the 5 s of the usual application servers.
    pub backend_idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(1),
            first_byte: seconds(60),
            idle: seconds(60),
            tunnel: seconds(3600),
            request: Duration::ZERO,
            client_head: seconds(10),
            client_idle: seconds(75),
            backend_idle: seconds(4),
        }
    }
}

/// Bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Clients' connections in all. Default 20,000.
    pub connections: usize,
    /// Clients' connections of one address (IPv6: of one /64). Default 2,000; 0 for no bound.
    pub connections_per_address: usize,
    /// Bytes of a request's or an answer's head. Default 64 KiB.
    pub head_bytes: usize,
    /// Headers of a request or an answer. Default 100.
    pub headers: usize,
    /// Bytes of a request's body; 0 for no bound, which is the default.
    pub body_bytes: u64,
    /// Streams of one HTTP/2 connection. Default 100.
    pub streams: u32,
    /// Requests and connections at once to one pod. Default 1,024.
    pub backend_connections: usize,
    /// Kept connections to one pod, each worker. Default 64.
    pub backend_idle: usize,
    /// Series of requests; further ones are folded into one. Default 4,000.
    pub series: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_address: 2_000,
            head_bytes: 64 << 10,
            headers: 100,
            body_bytes: 0,
            streams: 100,
            backend_connections: 1_024,
            backend_idle: 64,
            series: 4_000,
        }
    }
}

/// When a failing pod is left alone for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ejection {
    /// Failures in a row. Default 5; 0 for never.
    pub consecutive: u32,
    /// First pause; it doubles with each further one. Default 5 s.
    pub pause: Duration,
    /// Longest pause. Default 5 min.
    pub max_pause: Duration,
}

impl Default for Ejection {
    fn default() -> Self {
        Self { consecutive: 5, pause: Duration::from_secs(5), max_pause: Duration::from_secs(300) }
    }
}

/// How often a request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Further attempts of one request. Default 2.
    pub attempts: u32,
    /// Of all requests of a Service, the part that may be tried again, in percent. Default 20.
    pub budget_percent: u32,
    /// Retries a second that are allowed whatever the traffic. Default 10.
    pub budget_min: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 2, budget_percent: 20, budget_min: 10 }
    }
}

/// How the proxy ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long it goes on as before while it says that it is not ready, so that load balancers notice. Default 5 s.
    pub delay: Duration,
    /// How long requests under way may take after that. Default 15 s: with the delay and what the rest of the
    /// agent needs to end, that is the 30 s that Kubernetes grants.
    pub timeout: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { delay: Duration::from_secs(5), timeout: Duration::from_secs(15) }
    }
}

/// One JSON line for each request, or for some.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLog {
    /// A file to append to; `None` for standard output.
    pub path: Option<PathBuf>,
    /// Which part of the requests, from 0 to 1; answers of 500 and above are always written.
    pub sample: f64,
}

/// Everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// This node, for preferring its pods.
    pub node: Arc<str>,
    /// Threads that serve; 0 for one a core.
    pub workers: usize,
    /// Where plain HTTP is served.
    pub listen: Vec<SocketAddr>,
    /// Where HTTPS is served.
    pub listen_tls: Vec<SocketAddr>,
    /// Certificates and authorities.
    pub tls: Tls,
    /// From which addresses forwarding headers (`X-Forwarded-*`, `Forwarded`) are believed.
    pub trusted: Vec<IpNet>,
    /// From which addresses a PROXY protocol header is expected; others must not send one.
    pub proxy_protocol: Vec<IpNet>,
    /// Protocols beside `websocket` that may be upgraded to.
    pub upgrades: Vec<Arc<str>>,
    /// How a pod is chosen.
    pub balance: Balance,
    /// Which pods are preferred.
    pub prefer: Prefer,
    /// When a failing pod is left alone.
    pub ejection: Ejection,
    /// How often a request is tried again.
    pub retry: Retry,
    /// Longest waits.
    pub timeouts: Timeouts,
    /// Bounds.
    pub limits: Limits,
    /// File with at least 32 bytes that sign affinity cookies, the same on every node; without one
    /// a key is made at the start, and sessions move when they meet another node.
    pub affinity_key: Option<PathBuf>,
    /// How it ends.
    pub drain: Drain,
    /// One line for each request; off by default.
    pub access_log: Option<AccessLog>,
}
