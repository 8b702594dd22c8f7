//! What authorities and revocation lists hold, checked before they come into force.

use std::cmp::Reverse;
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::error::X509Error;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::certificates::time;
use super::pem::{self, Broken};
use crate::proxy::control::Authorities;

const AUTHORITY: &str = "authority";
const LIST: &str = "revocation list";

/// Authorities that can come into force.
#[derive(Debug)]
pub(super) struct Usable {
    pub(super) roots: RootCertStore,
    /// The newest first.
    pub(super) lists: Vec<CertificateRevocationListDer<'static>>,
    /// When the first of the lists ends.
    pub(super) expiry: Option<SystemTime>,
    /// What should be mended, and hinders nothing.
    pub(super) notes: Vec<Broken>,
}

/// Reads all or nothing: with a part of the authorities clients would be refused, with a part of the lists revoked
/// ones would come in.
pub(super) fn read(written: &Authorities, now: SystemTime) -> Result<Usable, Broken> {
    let authorities = pem::certificates(&written.ca, AUTHORITY)?;
    let lists = written.crl.as_deref().map(pem::revocation_lists).transpose()?.unwrap_or_default();
    let mut roots = RootCertStore::empty();
    for authority in &authorities {
        roots.add(authority.clone()).map_err(|_| Broken::Unusable(AUTHORITY))?;
    }
    let parsed: Vec<_> = authorities.iter().map(authority).collect::<Result<_, _>>()?;
    let mut notes = Vec::new();
    let is_over =
        |authority: &X509Certificate<'_>| time(authority.validity().not_after.timestamp()) < now;
    if parsed.iter().any(is_over) {
        notes.push(Broken::Expired(AUTHORITY));
    }
    let (lists, expiry) = check_lists(lists, &parsed, now, &mut notes)?;
    Ok(Usable { roots, lists, expiry, notes })
}

fn authority<'a>(der: &'a CertificateDer<'static>) -> Result<X509Certificate<'a>, Broken> {
    X509Certificate::from_der(der).map(|(_, it)| it).map_err(|_| Broken::Unusable(AUTHORITY))
}

/// A list of one of the authorities must be signed by it: webpki would find that out only when a client comes, and
/// then refuse every one. Lists of other issuers may be those of intermediate authorities, which clients show.
///
/// An expired list goes on being used. To refuse all clients since an authority was slow would be a self-made
/// outage, and an old list still names all that it named; the fault and the gauge tell.
fn check_lists(
    lists: Vec<CertificateRevocationListDer<'static>>,
    authorities: &[X509Certificate<'_>],
    now: SystemTime,
    notes: &mut Vec<Broken>,
) -> Result<(Vec<CertificateRevocationListDer<'static>>, Option<SystemTime>), Broken> {
    let mut expiry: Option<SystemTime> = None;
    let mut has_list = vec![false; authorities.len()];
    let mut dated = Vec::with_capacity(lists.len());
    for list in lists {
        let (_, parsed) =
            CertificateRevocationList::from_der(&list).map_err(|_| Broken::Unusable(LIST))?;
        if let Some(next) = parsed.next_update() {
            let next = time(next.timestamp());
            expiry = Some(expiry.map_or(next, |earlier| earlier.min(next)));
        }
        let issuers =
            || authorities.iter().enumerate().filter(|(_, it)| it.subject() == parsed.issuer());
        let mut signed = false;
        for (at, issuer) in issuers() {
            // What this parser cannot verify, webpki may.
            if parsed.verify_signature(issuer.public_key())
                != Err(X509Error::SignatureVerificationError)
            {
                signed = true;
                has_list[at] = true;
            }
        }
        if !signed && issuers().next().is_some() {
            return Err(Broken::Signature);
        }
        let issued = parsed.last_update().timestamp();
        dated.push((issued, list));
    }
    if !dated.is_empty() {
        if !has_list.contains(&true) {
            return Err(Broken::OtherLists);
        }
        let without = authorities.iter().zip(&has_list).filter(|(_, has)| !**has);
        notes.extend(without.map(|(it, _)| Broken::NoList(super::subject::text(it.subject()))));
    }
    if expiry.is_some_and(|expiry| expiry < now) {
        notes.push(Broken::Expired(LIST));
    }
    // Of several lists of one authority webpki asks only the first.
    dated.sort_by_key(|(issued, _)| Reverse(*issued));
    Ok((dated.into_iter().map(|(_, list)| list).collect(), expiry))
}
