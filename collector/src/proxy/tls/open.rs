//! The open connections whose clients showed a certificate, so that they can be closed when it is revoked.
//!
//! Connections with the same chain are one entry: the chain is kept and verified once for all of them.

use std::collections::{HashMap, hash_map};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::digest;
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio_util::sync::CancellationToken;

use super::subject::ClientCertificate;
use crate::proxy::refusal::Refusal;

type Fingerprint = [u8; digest::SHA256_OUTPUT_LEN];

/// All of them, up to a bound.
#[derive(Debug)]
pub(super) struct Open {
    most: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    connections: usize,
    entries: HashMap<Fingerprint, Entry>,
}

#[derive(Debug)]
struct Entry {
    shown: Arc<Shown>,
    connections: usize,
    /// When the last of the handshakes was.
    verified: UnixTime,
}

/// What a client showed.
#[derive(Debug)]
struct Shown {
    fingerprint: Fingerprint,
    chain: Vec<CertificateDer<'static>>,
    client: Arc<ClientCertificate>,
    revoked: CancellationToken,
}

/// One connection; it counts until this is dropped.
#[derive(Debug)]
pub(super) struct Registered {
    open: Arc<Open>,
    shown: Arc<Shown>,
}

impl Open {
    pub(super) fn new(most: usize) -> Self {
        Self { most, inner: Mutex::default() }
    }

    /// Registers a connection whose client showed this chain.
    pub(super) fn register(
        self: &Arc<Self>,
        chain: &[CertificateDer<'static>],
        now: UnixTime,
    ) -> Result<Registered, Refusal> {
        let fingerprint = fingerprint(chain);
        let mut inner = self.lock();
        if inner.connections >= self.most {
            return Err(Refusal::Connections);
        }
        let entry = match inner.entries.entry(fingerprint) {
            hash_map::Entry::Occupied(entry) => entry.into_mut(),
            hash_map::Entry::Vacant(place) => {
                let shown = Arc::new(Shown::new(fingerprint, chain)?);
                place.insert(Entry { shown, connections: 0, verified: now })
            }
        };
        entry.connections += 1;
        entry.verified = now;
        let shown = Arc::clone(&entry.shown);
        inner.connections += 1;
        Ok(Registered { open: Arc::clone(self), shown })
    }

    /// Cancels the connections whose chain is no longer good, and gives their number. `is_good` is asked once for
    /// each chain, without the lock, with the time of the last handshake: a certificate that has expired since then
    /// was not revoked.
    pub(super) fn recheck(
        &self,
        is_good: impl Fn(&[CertificateDer<'static>], UnixTime) -> bool,
    ) -> usize {
        let all: Vec<_> =
            self.lock().entries.values().map(|it| (Arc::clone(&it.shown), it.verified)).collect();
        let mut cancelled = 0;
        for (shown, verified) in all {
            if is_good(&shown.chain, verified) {
                continue;
            }
            let mut inner = self.lock();
            if let Some(entry) = inner.entries.get(&shown.fingerprint)
                && Arc::ptr_eq(&entry.shown, &shown)
            {
                cancelled += entry.connections;
                // A client that is trusted again begins a new entry.
                inner.entries.remove(&shown.fingerprint);
            }
            drop(inner);
            shown.revoked.cancel();
        }
        cancelled
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn connections(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.connections, inner.entries.len())
    }
}

impl Shown {
    fn new(fingerprint: Fingerprint, chain: &[CertificateDer<'static>]) -> Result<Self, Refusal> {
        let client = chain.first().and_then(ClientCertificate::read);
        let client = Arc::new(client.ok_or(Refusal::ClientCertificate)?);
        let revoked = CancellationToken::new();
        Ok(Self { fingerprint, chain: chain.to_vec(), client, revoked })
    }
}

impl Registered {
    pub(super) fn client(&self) -> Arc<ClientCertificate> {
        Arc::clone(&self.shown.client)
    }

    pub(super) fn revoked(&self) -> CancellationToken {
        self.shown.revoked.clone()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut inner = self.open.lock();
        inner.connections -= 1;
        let Some(entry) = inner.entries.get_mut(&self.shown.fingerprint) else { return };
        if !Arc::ptr_eq(&entry.shown, &self.shown) {
            return;
        }
        entry.connections -= 1;
        if entry.connections == 0 {
            inner.entries.remove(&self.shown.fingerprint);
        }
    }
}

/// Of the whole chain: the same certificate with other intermediate ones may be verified differently.
fn fingerprint(chain: &[CertificateDer<'static>]) -> Fingerprint {
    let mut context = digest::Context::new(&digest::SHA256);
    for certificate in chain {
        context.update(&certificate.len().to_be_bytes());
        context.update(certificate);
    }
    let mut fingerprint = Fingerprint::default();
    fingerprint.copy_from_slice(context.finish().as_ref());
    fingerprint
}
