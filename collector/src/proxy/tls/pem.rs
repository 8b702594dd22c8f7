//! What PEM text holds, and what is wrong with it.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::proxy::route::{Fault, Origin};

/// Why a certificate, an authority or a revocation list is not used, or should not be for long. The text holds
/// nothing of the files: a misplaced key could be in any of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// A section without end, or no base64.
    #[error("the {0} is no valid PEM; write whole BEGIN and END lines with base64 between them")]
    Pem(&'static str),
    /// No section of the wanted kind.
    #[error("the {0} holds none; write at least one section of that kind in PEM")]
    Empty(&'static str),
    /// Not what it should be within the PEM.
    #[error("the {0} cannot be used; it is damaged or of a kind that is not supported")]
    Unusable(&'static str),
    /// Of another certificate.
    #[error(
        "the key is not that of the first certificate; write the host's own certificate first, and its key"
    )]
    KeyMismatch,
    /// Over.
    #[error("the {0} expired; renew it (it is used nevertheless)")]
    Expired(&'static str),
    /// To come.
    #[error("the certificate is not valid yet; check this node's clock (it is used nevertheless)")]
    NotYetValid,
    /// Says that it is for another host.
    #[error(
        "the certificate does not name the host {0}; clients will not accept it there (it is used nevertheless)"
    )]
    NotNamed(Arc<str>),
    /// Not a name, or not one with its star in front.
    #[error(
        "the host {0:?} is no DNS name; write one such as \"shop.example\" or \"*.shop.example\""
    )]
    Host(Arc<str>),
    /// Signed by somebody else.
    #[error(
        "a revocation list is not signed by the authority that it names; ask the authority for its list"
    )]
    Signature,
    /// Revocation cannot be checked for all.
    #[error(
        "there is no revocation list of the authority {0}; clients whose certificates it signed are refused"
    )]
    NoList(String),
    /// No list is for any of the authorities.
    #[error(
        "none of the revocation lists is of one of the authorities; write the lists of those that sign clients' certificates"
    )]
    OtherLists,
    /// Not to be read.
    #[error("cannot read it: {0}")]
    Unreadable(std::io::ErrorKind),
    /// More than is kept.
    #[error("there are more than {0}; the further ones are left out")]
    TooMany(usize),
}

impl Broken {
    /// The `reason` label. A closed set.
    fn reason(&self) -> &'static str {
        match self {
            Self::Pem(_) => "pem",
            Self::Empty(_) => "empty",
            Self::Unusable(_) => "unusable",
            Self::KeyMismatch => "key_mismatch",
            Self::Expired(_) => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::NotNamed(_) => "host_not_named",
            Self::Host(_) => "host",
            Self::Signature => "crl_signature",
            Self::NoList(_) => "crl_missing",
            Self::OtherLists => "crl_other",
            Self::Unreadable(_) => "unreadable",
            Self::TooMany(_) => "too_many",
        }
    }

    pub(super) fn fault(&self, origin: &Origin) -> Fault {
        Fault { origin: origin.clone(), reason: self.reason(), sentence: self.to_string() }
    }
}

/// Whether a fault of certificates or authorities is a note only: what it is about is in force. A start need not
/// fail for it; with a certificate that expired at night a node's proxy could not be restarted otherwise.
#[must_use]
pub fn is_note(fault: &Fault) -> bool {
    matches!(fault.reason, "expired" | "not_yet_valid" | "host_not_named" | "crl_missing")
}

/// All certificates, in their order.
pub(super) fn certificates(
    pem: &[u8],
    what: &'static str,
) -> Result<Vec<CertificateDer<'static>>, Broken> {
    all(pem, what)
}

/// All revocation lists, in their order.
pub(super) fn revocation_lists(
    pem: &[u8],
) -> Result<Vec<CertificateRevocationListDer<'static>>, Broken> {
    all(pem, "revocation list")
}

/// The first private key.
pub(super) fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Broken> {
    all(pem, "private key").map(|mut keys| keys.swap_remove(0))
}

/// At least one. The parser's own errors are not passed on, since they quote the text.
fn all<T: PemObject>(pem: &[u8], what: &'static str) -> Result<Vec<T>, Broken> {
    let found: Result<Vec<T>, _> = T::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(Broken::Empty(what)),
        Ok(found) => Ok(found),
        Err(_) => Err(Broken::Pem(what)),
    }
}
