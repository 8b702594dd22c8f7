//! What the sources tell the proxy.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch::Receiver;

use super::route::{Fault, Origin, Route, Source};
use super::service::{Service, ServiceKey};
use super::worker::Shared;

/// A certificate chain and its key, as PEM text.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Where it is written: the Secret's namespace and name, or the file's path as name.
    pub origin: Origin,
    /// `tls.crt`.
    pub chain: Arc<[u8]>,
    /// `tls.key`.
    pub key: Arc<[u8]>,
    /// For which hosts; empty for those that the certificate names itself.
    pub hosts: Vec<Arc<str>>,
}

/// Keeps the key out of every log.
impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Who signs clients' certificates, and which are revoked, as PEM text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    /// Where it is written.
    pub origin: Origin,
    /// `ca.crt`.
    pub ca: Arc<[u8]>,
    /// `ca.crl`, one list or several.
    pub crl: Option<Arc<[u8]>>,
}

/// Takes certificates. As with [`Told`], each call replaces all that the same source said before.
pub trait ToldTls: Send + Sync {
    /// All certificates of a source, the default one first.
    fn certificates(&self, source: Source, certificates: Vec<Certificate>) -> Vec<Fault>;
    /// Who signs clients' certificates. Open connections are checked anew.
    fn authorities(&self, authorities: Authorities) -> Vec<Fault>;
}

/// Takes what the sources know. Each call replaces all that the same source said before of the same thing; what
/// cannot be used comes back as faults, and where there was a good one before, it stays in force.
pub trait Told: ToldTls {
    /// All routes of a source.
    fn routes(&self, source: Source, routes: Vec<Route>) -> Vec<Fault>;
    /// A Service; `None` when it is gone or not known. The same may be told any number of times.
    fn service(&self, key: &ServiceKey, service: Option<Service>);
    /// What of the Ingresses' routes cannot be used now: what the file says may shadow one at any time. Never changes
    /// where nobody is told so.
    fn refused(&self) -> Receiver<Arc<Vec<Fault>>> {
        tokio::sync::watch::channel(Arc::default()).1
    }
    /// The Services that routes name now. When it changes, what is known of each is to be told again: one that was not
    /// wanted for a moment was forgotten.
    fn wanted(&self) -> Receiver<Arc<BTreeSet<ServiceKey>>>;
}

/// The proxy's side of [`Told`].
pub(crate) struct Control(pub(crate) Arc<Shared>);

impl ToldTls for Control {
    fn certificates(&self, source: Source, certificates: Vec<Certificate>) -> Vec<Fault> {
        self.0.acceptor.certificates(source, certificates)
    }

    fn authorities(&self, authorities: Authorities) -> Vec<Fault> {
        self.0.acceptor.authorities(authorities)
    }
}

impl Told for Control {
    fn routes(&self, source: Source, routes: Vec<Route>) -> Vec<Fault> {
        self.0.registry.routes(source, routes)
    }

    fn service(&self, key: &ServiceKey, service: Option<Service>) {
        self.0.registry.service(key, service);
    }

    fn refused(&self) -> Receiver<Arc<Vec<Fault>>> {
        self.0.registry.refused()
    }

    fn wanted(&self) -> Receiver<Arc<BTreeSet<ServiceKey>>> {
        self.0.registry.wanted()
    }
}
