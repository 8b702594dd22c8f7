//! Which clients may connect: the verification of their certificates that is in force.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tracing::info;

use super::authorities::{self, Usable};
use super::certificates::Certificates;
use super::open::{Open, Registered};
use super::pem::Broken;
use crate::proxy::control::Authorities;
use crate::proxy::refusal::Refusal;
use crate::proxy::route::Fault;
use crate::proxy::settings::ClientCertificates;

/// The verification of client certificates.
#[derive(Debug)]
pub struct Clients {
    asked: Asked,
    certificates: Arc<Certificates>,
    present: ArcSwap<Policy>,
    open: Arc<Open>,
    /// Held while authorities are told, so that two changes cannot overtake each other.
    telling: Mutex<()>,
    revoked: AtomicU64,
}

/// Whether clients are asked for certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Never,
    Optional,
    Required,
}

/// What is in force. Immutable: a change puts another one in its place.
#[derive(Debug)]
pub(super) struct Policy {
    /// None where no handshake can succeed.
    config: Option<Arc<ServerConfig>>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    expiry: Option<SystemTime>,
}

impl Clients {
    pub(super) fn new(
        settings: Option<&ClientCertificates>,
        certificates: Arc<Certificates>,
        most: usize,
    ) -> io::Result<Self> {
        let asked = match settings {
            None => Asked::Never,
            Some(clients) if clients.required => Asked::Required,
            Some(_) => Asked::Optional,
        };
        let config = match asked {
            Asked::Required => None,
            // Without authorities a certificate proves nothing, so none is asked for.
            Asked::Optional | Asked::Never => {
                let tickets = asked == Asked::Never;
                Some(super::config(&certificates, None, tickets).map_err(io::Error::other)?)
            }
        };
        Ok(Self {
            asked,
            certificates,
            present: ArcSwap::from_pointee(Policy { config, verifier: None, expiry: None }),
            open: Arc::new(Open::new(most)),
            telling: Mutex::default(),
            revoked: AtomicU64::new(0),
        })
    }

    /// Replaces who signs clients' certificates and which are revoked. New connections are verified anew at once,
    /// and open ones whose certificate is no longer good are cancelled; the rest notices nothing. Verifying takes
    /// about a tenth of a millisecond for each different certificate.
    ///
    /// A bad authority or list is a fault, and all stays as it was. Revocation is checked for the whole chain, so
    /// that with lists there must be one of each authority; an expired list is a fault and used.
    pub fn told(&self, authorities: &Authorities) -> Vec<Fault> {
        if self.asked == Asked::Never {
            return Vec::new();
        }
        let _telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let read = authorities::read(authorities, SystemTime::now());
        match read
            .and_then(|mut usable| Ok((std::mem::take(&mut usable.notes), self.compile(usable)?)))
        {
            Ok((notes, policy)) => {
                self.put_in_force(policy);
                notes.iter().map(|note| note.fault(&authorities.origin)).collect()
            }
            Err(broken) => vec![broken.fault(&authorities.origin)],
        }
    }

    fn compile(&self, usable: Usable) -> Result<Policy, Broken> {
        let mut builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(usable.roots), super::provider())
                .with_crls(usable.lists);
        if self.asked == Asked::Optional {
            builder = builder.allow_unauthenticated();
        }
        let verifier = builder.build().map_err(|_| Broken::Unusable("revocation list"))?;
        let config = super::config(&self.certificates, Some(Arc::clone(&verifier)), false)
            .map_err(|_| Broken::Unusable("authority"))?;
        Ok(Policy { config: Some(config), verifier: Some(verifier), expiry: usable.expiry })
    }

    /// First in force, then asked of the open ones; a handshake registers first, then looks whether something else
    /// came into force meanwhile. So none can slip through between the two.
    fn put_in_force(&self, policy: Policy) {
        let policy = Arc::new(policy);
        self.present.store(Arc::clone(&policy));
        let cancelled = self.open.recheck(|chain, at| policy.is_good(chain, at));
        self.revoked.fetch_add(cancelled as u64, Ordering::Relaxed);
        info!(cancelled, "other authorities verify clients' certificates now");
    }

    pub(super) fn policy(&self) -> Arc<Policy> {
        self.present.load_full()
    }

    /// Registers a connection whose client showed a chain that was good by `policy`.
    pub(super) fn register(
        &self,
        chain: &[CertificateDer<'static>],
        policy: &Arc<Policy>,
    ) -> Result<Registered, Refusal> {
        let now = UnixTime::now();
        let registered = self.open.register(chain, now)?;
        let present = self.present.load();
        if !Arc::ptr_eq(&present, policy) && !present.is_good(chain, now) {
            return Err(Refusal::ClientCertificate);
        }
        Ok(registered)
    }

    pub(super) fn revoked(&self) -> u64 {
        self.revoked.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn open(&self) -> (usize, usize) {
        self.open.connections()
    }
}

impl Policy {
    pub(super) fn config(&self) -> Option<&Arc<ServerConfig>> {
        self.config.as_ref()
    }

    pub(super) fn expiry(&self) -> Option<SystemTime> {
        self.expiry
    }

    fn is_good(&self, chain: &[CertificateDer<'static>], at: UnixTime) -> bool {
        let (Some(verifier), Some((leaf, intermediates))) = (&self.verifier, chain.split_first())
        else {
            return false;
        };
        verifier.verify_client_cert(leaf, intermediates, at).is_ok()
    }
}
