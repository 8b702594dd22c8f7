//! `proxy.tls`: certificates of ours, of clients and of pods.

use std::path::PathBuf;

use collector::proxy::settings::{AuthoritiesFrom, CertificateFiles, ClientCertificates, Tls};

use super::{is_label, is_object_name};
use crate::config::section::Section;

pub(super) fn read(tls: &mut Section<'_>) -> Tls {
    Tls {
        certificates: tls.sections("certificates", None, certificate),
        clients: tls.optional("clients", clients),
        backend_ca: tls.text("backend_ca").map(PathBuf::from),
    }
}

fn certificate(section: &mut Section<'_>) -> Option<CertificateFiles> {
    match (section.text("certificate"), section.text("key")) {
        (Some(certificate), Some(key)) => {
            Some(CertificateFiles { certificate: certificate.into(), key: key.into() })
        }
        (None, None) => section.wrong_here("names no files; write certificate and key"),
        (None, _) => section.wrong("certificate", "not set; write the path of the chain"),
        (_, None) => section.wrong("key", "not set; write the path of the key"),
    }
}

fn clients(section: &mut Section<'_>) -> Option<ClientCertificates> {
    const WANT: &str = "a Secret; write its namespace and name, such as \"ingress/clients\"";
    let required = section.flag("required").unwrap_or(true);
    let crl = section.text("crl").map(PathBuf::from);
    let ca = section.text("ca").map(PathBuf::from);
    let is_written = section.has("secret");
    let secret = section.parsed("secret", WANT, |text| {
        let (namespace, name) = text.split_once('/')?;
        (is_label(namespace) && is_object_name(name))
            .then(|| AuthoritiesFrom::Secret { namespace: namespace.into(), name: name.into() })
    });
    let authorities = match (ca, secret) {
        (Some(_), _) if is_written => {
            return section.wrong("secret", "excludes ca; leave one of them out");
        }
        (Some(ca), _) => AuthoritiesFrom::Files { ca, crl },
        (None, Some(_)) if crl.is_some() => {
            return section.wrong("crl", "goes with ca; of a Secret the key ca.crl is read");
        }
        (None, Some(secret)) => secret,
        (None, None) if is_written => return None,
        (None, None) => {
            return section.wrong_here("says not who signs the certificates; write ca or secret");
        }
    };
    Some(ClientCertificates { authorities, required })
}
