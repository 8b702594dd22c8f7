//! The Secrets that Ingresses name, and the authorities of clients' certificates.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::feed::Change;
use crate::proxy::control::{Authorities, Certificate, Told};
use crate::proxy::discovery::ingress::Tls;
use crate::proxy::discovery::name::Name;
use crate::proxy::discovery::object::SecretObject;
use crate::proxy::discovery::secret::{Holds, Pem, Secret, Trouble};
use crate::proxy::route::{Fault, Origin, Source};

/// Secrets that are followed, each with a watch of its own.
const MAX_SECRETS: usize = 256;

/// Certificates, in the order of the Ingresses that name them.
#[derive(Default)]
pub(super) struct Certificates {
    tls: Vec<Tls>,
    secrets: BTreeMap<Name, Secret>,
    /// Secrets beyond the bound.
    excess: Vec<Name>,
    told: Vec<Certificate>,
    /// What of them was refused.
    refused: Vec<Fault>,
}

impl Certificates {
    /// Follows what these name and nothing else.
    pub(super) fn want(&mut self, tls: Vec<Tls>) {
        let mut before = std::mem::take(&mut self.secrets);
        self.excess.clear();
        for Tls { secret: name, .. } in &tls {
            if self.secrets.contains_key(name) || self.excess.contains(name) {
                continue;
            }
            if self.secrets.len() < MAX_SECRETS {
                let secret = before.remove(name);
                let secret =
                    secret.unwrap_or_else(|| Secret::new(name.clone(), Holds::Certificate));
                self.secrets.insert(name.clone(), secret);
            } else {
                self.excess.push(name.clone());
            }
        }
        self.tls = tls;
    }

    pub(super) fn heard(&mut self, name: &Name, changes: Vec<Change<SecretObject>>) {
        if let Some(secret) = self.secrets.get_mut(name) {
            secret.heard(changes);
        }
    }

    /// Tells what is good, if that is something new.
    pub(super) fn tell(&mut self, told: &dyn Told) {
        let good = self.tls.iter().filter_map(|Tls { secret: name, hosts }| {
            let Pem { public, other } = self.secrets.get(name)?.good.clone()?;
            Some(Certificate {
                origin: origin(Source::Ingress, name),
                chain: public,
                key: other?,
                hosts: hosts.clone(),
            })
        });
        let good: Vec<_> = good.collect();
        if good != self.told {
            self.refused = told.certificates(Source::Ingress, good.clone());
            self.told = good;
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.secrets.keys()
    }

    /// Whether the server has spoken of each.
    pub(super) fn is_complete(&self) -> bool {
        self.secrets.values().all(|secret| secret.is_heard)
    }

    /// Secrets that cannot be used.
    pub(super) fn troubles(&self) -> impl Iterator<Item = (&Name, &Trouble)> {
        self.secrets.iter().filter_map(|(name, secret)| Some((name, secret.trouble.as_ref()?)))
    }

    pub(super) fn excess(&self) -> &[Name] {
        &self.excess
    }

    /// Certificates that were refused, by their Secrets.
    pub(super) fn refused(&self) -> &[Fault] {
        &self.refused
    }
}

/// The Secret of the authorities.
pub(super) struct Clients {
    name: Name,
    secret: Secret,
    told: Option<Pem>,
    refused: Vec<Fault>,
}

impl Clients {
    pub(super) fn new(name: Name) -> Self {
        let secret = Secret::new(name.clone(), Holds::Authorities);
        Self { name, secret, told: None, refused: Vec::new() }
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    pub(super) fn heard(&mut self, changes: Vec<Change<SecretObject>>, told: &dyn Told) {
        self.secret.heard(changes);
        let Some(good) = self.secret.good.clone().filter(|good| self.told.as_ref() != Some(good))
        else {
            return;
        };
        self.refused = told.authorities(Authorities {
            origin: origin(Source::File, &self.name),
            ca: good.public.clone(),
            crl: good.other.clone(),
        });
        self.told = Some(good);
    }

    pub(super) fn is_heard(&self) -> bool {
        self.secret.is_heard
    }

    pub(super) fn faults(&self) -> Vec<Fault> {
        let own = self.secret.trouble.as_ref().map(|(reason, sentence)| {
            super::fault(&origin(Source::File, &self.name), *reason, sentence.as_str())
        });
        // What was refused is not what it holds any more when it holds nothing of use now.
        own.map_or_else(|| self.refused.clone(), |fault| vec![fault])
    }
}

fn origin(source: Source, name: &Name) -> Origin {
    Origin { source, namespace: Arc::clone(&name.namespace), name: Arc::clone(&name.name) }
}
