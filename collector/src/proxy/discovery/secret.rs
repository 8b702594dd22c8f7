//! Certificates and authorities out of Secrets. Nothing of a Secret's contents is in any fault.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::fault::Reason;
use super::name::Name;
use super::object::{SecretData, SecretObject};
use crate::api::feed::Change;
use crate::api::lax::Text;

/// The type of a Secret that holds a certificate.
const TLS: &str = "kubernetes.io/tls";

/// What of a Secret is of use: a chain and its key, or authorities and their revocation lists.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pem {
    pub(super) public: Arc<[u8]>,
    /// The key, or the revocation lists if there are some.
    pub(super) other: Option<Arc<[u8]>>,
}

/// Which keys of the Secret are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Certificate,
    Authorities,
}

/// What is wrong with a Secret.
pub(super) type Trouble = (Reason, String);

/// One Secret, as far as it is known. A good one stays in force whatever becomes of it.
pub(super) struct Secret {
    name: Name,
    holds: Holds,
    /// The server has said whether it is there.
    pub(super) is_heard: bool,
    pub(super) good: Option<Pem>,
    pub(super) trouble: Option<Trouble>,
}

impl Secret {
    pub(super) fn new(name: Name, holds: Holds) -> Self {
        Self { name, holds, is_heard: false, good: None, trouble: None }
    }

    pub(super) fn heard(&mut self, changes: Vec<Change<SecretObject>>) {
        for change in changes {
            let object = match change {
                Change::All(objects) => objects.into_iter().find(|object| self.is(object)),
                Change::Applied(object) if self.is(&object) => Some(object),
                Change::Deleted(object) if self.is(&object) => None,
                Change::Applied(_) | Change::Deleted(_) => continue,
            };
            self.is_heard = true;
            let read = object.map_or_else(|| Err(self.missing()), |object| self.read(object));
            match read {
                Ok(pem) => {
                    self.good = Some(pem);
                    self.trouble = None;
                }
                Err(trouble) => self.trouble = Some(trouble),
            }
        }
    }

    fn is(&self, object: &SecretObject) -> bool {
        object.metadata.0.as_ref().is_some_and(|metadata| metadata.name.is(&self.name.name))
    }

    fn missing(&self) -> Trouble {
        let Name { namespace, name } = &self.name;
        let kept = self.kept();
        match self.holds {
            Holds::Certificate => (
                Reason::CertificateMissing,
                format!(
                    "there is no Secret {name} in namespace {namespace}{kept}; make one of type {TLS}"
                ),
            ),
            Holds::Authorities => (
                Reason::AuthoritiesMissing,
                format!(
                    "there is no Secret {name} in namespace {namespace}{kept}; make one with ca.crt"
                ),
            ),
        }
    }

    /// Revocation lists that are gone would let in again whoever was revoked.
    fn keeps_lists(&self, pem: Pem) -> Result<Pem, String> {
        let had_lists = self.good.as_ref().is_some_and(|good| good.other.is_some());
        if had_lists && pem.other.is_none() {
            return Err("has no ca.crl any more; give an empty list of the authority, or start again without".to_owned());
        }
        Ok(pem)
    }

    fn kept(&self) -> &'static str {
        if self.good.is_some() { " (what it held before stays in force)" } else { "" }
    }

    fn read(&self, object: SecretObject) -> Result<Pem, Trouble> {
        let data = object.data.into_inner();
        let read = match self.holds {
            Holds::Certificate if !object.kind.is(TLS) => Err(format!("is not of type {TLS}")),
            Holds::Certificate => certificate(&data),
            Holds::Authorities => authorities(&data).and_then(|pem| self.keeps_lists(pem)),
        };
        read.map_err(|why| {
            let Name { namespace, name } = &self.name;
            let reason = match self.holds {
                Holds::Certificate => Reason::CertificateMalformed,
                Holds::Authorities => Reason::AuthoritiesMalformed,
            };
            (reason, format!("Secret {name} in namespace {namespace} {why}{}", self.kept()))
        })
    }
}

fn certificate(data: &SecretData) -> Result<Pem, String> {
    Ok(Pem {
        public: pem(&data.chain, "tls.crt", "CERTIFICATE-----")?,
        other: Some(pem(&data.key, "tls.key", "PRIVATE KEY-----")?),
    })
}

fn authorities(data: &SecretData) -> Result<Pem, String> {
    let crl = data.crl.as_ref().map(|crl| pem(crl, "ca.crl", "X509 CRL-----")).transpose()?;
    Ok(Pem { public: pem(&data.ca, "ca.crt", "CERTIFICATE-----")?, other: crl })
}

/// The bytes of a key that must be PEM. Whether they are a good certificate is for TLS to say.
fn pem<const MAX: usize>(text: &Text<MAX>, key: &str, kind: &str) -> Result<Arc<[u8]>, String> {
    let Some(text) = &text.0 else { return Err(format!("has no {key}")) };
    let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| format!("has no base64 in {key}"))?;
    if memchr::memmem::find(&bytes, kind.as_bytes()).is_none() {
        return Err(format!("has no PEM of this kind in {key}"));
    }
    Ok(bytes.into())
}
