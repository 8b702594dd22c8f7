//! The certificates that are shown to clients, by the host they ask for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::DnsName;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::Protocols;
use super::pem::{self, Broken};
use crate::proxy::control::Certificate;
use crate::proxy::route::{Fault, Origin, Source};

/// More of one source are left out. An API server of a large cluster has some thousands.
const MOST: usize = 20_000;

/// All certificates in force. Told by the sources, read by handshakes without a lock.
pub struct Certificates {
    provider: Arc<CryptoProvider>,
    protocols: Protocols,
    /// What is in force, by source. Held only while certificates are told.
    told: Mutex<[Vec<Listed>; 2]>,
    names: ArcSwap<Names>,
}

/// A usable certificate and the text it was made of.
struct Parsed {
    written: Certificate,
    key: Arc<CertifiedKey>,
    /// The names it has itself, in lower case.
    own_names: Vec<Arc<str>>,
    not_before: SystemTime,
    not_after: SystemTime,
}

/// A certificate and the hosts it is shown for.
struct Listed {
    parsed: Arc<Parsed>,
    hosts: Vec<Arc<str>>,
}

/// Who is shown what.
#[derive(Default)]
struct Names {
    exact: HashMap<Arc<str>, Arc<Parsed>>,
    /// By what follows the `*.`.
    wildcard: HashMap<Arc<str>, Arc<Parsed>>,
    default: Option<Arc<Parsed>>,
}

impl Certificates {
    pub(super) fn new(provider: Arc<CryptoProvider>, protocols: Protocols) -> Self {
        Self { provider, protocols, told: Mutex::default(), names: ArcSwap::default() }
    }

    /// Replaces all certificates of a source, the default one first. Where two are for the same host, the file's is
    /// shown before an Ingress', and else the earlier one.
    ///
    /// A broken one is a fault, and what its origin had before stays in force, for the hosts that are asked for
    /// now. One that is expired, or does not name its host, is a fault and used: clients say more clearly what is
    /// wrong with it than a refused handshake does.
    pub fn told(&self, source: Source, certificates: Vec<Certificate>) -> Vec<Fault> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = source as usize;
        let mut known: HashMap<Origin, Arc<Parsed>> = told[slot]
            .iter()
            .map(|listed| (listed.parsed.written.origin.clone(), Arc::clone(&listed.parsed)))
            .collect();
        let mut faults = Vec::new();
        if let Some(first) = certificates.get(MOST) {
            faults.push(Broken::TooMany(MOST).fault(&first.origin));
        }
        let mut now = Vec::with_capacity(certificates.len().min(MOST));
        for certificate in certificates.into_iter().take(MOST) {
            now.extend(self.list(certificate, &mut known, &mut faults));
        }
        told[slot] = now;
        self.names.store(Arc::new(Names::all(&*told)));
        faults
    }

    fn list(
        &self,
        certificate: Certificate,
        known: &mut HashMap<Origin, Arc<Parsed>>,
        faults: &mut Vec<Fault>,
    ) -> Option<Listed> {
        let hosts = certificate.hosts.clone();
        let origin = certificate.origin.clone();
        let old = known.get(&origin);
        let parsed = match old {
            Some(old) if old.is_of(&certificate) => Arc::clone(old),
            _ => match Parsed::read(certificate, &self.provider) {
                Ok(parsed) => {
                    // One Secret may be listed for several Ingresses: it is one certificate all the same.
                    let parsed = Arc::new(parsed);
                    known.insert(origin.clone(), Arc::clone(&parsed));
                    parsed
                }
                Err(broken) => {
                    faults.push(broken.fault(&origin));
                    Arc::clone(old?)
                }
            },
        };
        faults.extend(parsed.out_of_date(SystemTime::now()).map(|broken| broken.fault(&origin)));
        let hosts = if hosts.is_empty() {
            parsed.own_names.clone()
        } else {
            let (hosts, broken) = parsed.for_hosts(&hosts);
            faults.extend(broken.iter().map(|broken| broken.fault(&origin)));
            hosts
        };
        Some(Listed { parsed, hosts })
    }

    /// What is spoken with whoever these are shown to.
    pub(super) fn protocols(&self) -> Protocols {
        self.protocols
    }

    /// Whether a request for this host may come over a connection that was made for that name: it is the same, or
    /// both are shown the same certificate. A connection for no name was made by a client that could not name
    /// one, such as a health check of an address; it may ask for any host. `host` is in lower case, without port.
    #[must_use]
    pub fn covers(&self, server_name: Option<&str>, host: &str) -> bool {
        let Some(server_name) = server_name else { return true };
        if server_name == host {
            return true;
        }
        let names = self.names.load();
        match (names.of(Some(server_name)), names.of(Some(host))) {
            (Some(shown), Some(fitting)) => Arc::ptr_eq(shown, fitting),
            _ => false,
        }
    }

    /// Until when each certificate in force is good, each origin once.
    #[must_use]
    pub fn expiries(&self) -> Vec<(Origin, SystemTime)> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let all: HashMap<_, _> = told
            .iter()
            .flatten()
            .map(|listed| (listed.parsed.written.origin.clone(), listed.parsed.not_after))
            .collect();
        all.into_iter().collect()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let names = self.names.load();
        names.of(hello.server_name()).map(|parsed| Arc::clone(&parsed.key))
    }
}

/// Keeps keys out of every log.
impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl Parsed {
    fn read(written: Certificate, provider: &CryptoProvider) -> Result<Self, Broken> {
        const CHAIN: &str = "certificate chain";
        let chain = pem::certificates(&written.chain, CHAIN)?;
        let key = pem::key(&written.key)?;
        let (_, leaf) =
            X509Certificate::from_der(&chain[0]).map_err(|_| Broken::Unusable(CHAIN))?;
        let own_names = own_names(&leaf);
        let not_before = time(leaf.validity().not_before.timestamp());
        let not_after = time(leaf.validity().not_after.timestamp());
        let key = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => Broken::KeyMismatch,
            rustls::Error::InvalidCertificate(_) => Broken::Unusable(CHAIN),
            _ => Broken::Unusable("private key"),
        })?;
        Ok(Self { written, key: Arc::new(key), own_names, not_before, not_after })
    }

    fn is_of(&self, certificate: &Certificate) -> bool {
        self.written.chain == certificate.chain && self.written.key == certificate.key
    }

    fn out_of_date(&self, now: SystemTime) -> Option<Broken> {
        if self.not_after < now {
            Some(Broken::Expired("certificate"))
        } else if self.not_before > now {
            Some(Broken::NotYetValid)
        } else {
            None
        }
    }

    /// Those of the hosts that are names, and what is wrong with the hosts.
    fn for_hosts(&self, hosts: &[Arc<str>]) -> (Vec<Arc<str>>, Vec<Broken>) {
        let (mut good, mut broken) = (Vec::new(), Vec::new());
        for host in hosts {
            match name(host) {
                Some(name) => {
                    if !self.has(&name) {
                        broken.push(Broken::NotNamed(Arc::clone(&name)));
                    }
                    good.push(name);
                }
                None => broken.push(Broken::Host(Arc::clone(host))),
            }
        }
        (good, broken)
    }

    fn has(&self, host: &str) -> bool {
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.own_names.iter().any(|own| {
            **own == *host || own.strip_prefix("*.").is_some_and(|suffix| Some(suffix) == parent)
        })
    }
}

impl Names {
    /// A certificate that does not name its host is shown only where no other one does: anyone may write an Ingress
    /// for a host.
    fn all(told: &[Vec<Listed>]) -> Self {
        let mut names = Self::default();
        for does_name in [true, false] {
            told.iter().flatten().for_each(|listed| names.add(listed, does_name));
        }
        names
    }

    /// What a name has already stays: the first is the one that is shown.
    fn add(&mut self, listed: &Listed, does_name: bool) {
        for host in listed.hosts.iter().filter(|host| listed.parsed.has(host) == does_name) {
            if !does_name && self.named(host).is_some_and(|there| there.has(host)) {
                continue;
            }
            let (map, name) = match host.strip_prefix("*.") {
                Some(suffix) => (&mut self.wildcard, Arc::from(suffix)),
                None => (&mut self.exact, Arc::clone(host)),
            };
            map.entry(name).or_insert_with(|| Arc::clone(&listed.parsed));
        }
        self.default.get_or_insert_with(|| Arc::clone(&listed.parsed));
    }

    /// The certificate for a host: its own, its parent's wildcard, or the default one.
    fn of(&self, host: Option<&str>) -> Option<&Arc<Parsed>> {
        host.and_then(|host| self.named(host)).or(self.default.as_ref())
    }

    fn named(&self, host: &str) -> Option<&Arc<Parsed>> {
        let wildcard = || self.wildcard.get(host.split_once('.')?.1);
        self.exact.get(host).or_else(wildcard)
    }
}

/// The DNS names of a certificate. What is no name is left out; a common name counts for no client any more.
fn own_names(leaf: &X509Certificate<'_>) -> Vec<Arc<str>> {
    let Ok(Some(names)) = leaf.subject_alternative_name() else { return Vec::new() };
    let dns = names.value.general_names.iter().filter_map(|found| match found {
        GeneralName::DNSName(text) => name(text),
        _ => None,
    });
    dns.collect()
}

/// A host in lower case and without its trailing dot, if it is a DNS name or one behind a `*.`.
fn name(host: &str) -> Option<Arc<str>> {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let plain = host.strip_prefix("*.").unwrap_or(&host);
    DnsName::try_from(plain).ok()?;
    Some(host.into())
}

/// Seconds since 1970, as certificates have them; those before are all the same here.
pub(super) fn time(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

#[cfg(test)]
mod tests;
