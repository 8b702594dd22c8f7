//! TLS to pods.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::pem;
use crate::proxy::service::{Protocol, ServiceKey};

/// How handshakes with pods are made.
#[derive(Clone, Debug)]
pub struct Backend {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

/// Why TLS to pods cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The file is not there or not readable for this process.
    #[error("cannot read the authorities of pods {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is there and holds something else.
    #[error("the authorities of pods {} hold no usable certificate; write them in PEM", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
    },
    /// The library refuses its own defaults.
    #[error("cannot set up TLS to pods")]
    Tls(#[source] rustls::Error),
}

/// Checks pods' certificates as far as they can be.
///
/// Without authorities not at all, as every Ingress controller does by default: a pod is known by its address,
/// which the API server tells, its certificate names no address, and whoever could answer in its place in the
/// node's network could also read what is sent without TLS. With authorities the chain must end at one of them, and
/// the certificate must be for the Service's name; a service of the file without a namespace has none to check.
#[derive(Debug)]
struct Pods {
    authorities: Option<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Backend {
    /// With the authorities of this PEM file, or without checks.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificates.
    pub fn new(authorities: Option<&Path>) -> Result<Self, BackendError> {
        let provider = super::provider();
        let verifier = Arc::new(Pods {
            authorities: authorities.map(read).transpose()?,
            algorithms: provider.signature_verification_algorithms,
        });
        let config = |protocol: &[u8]| -> Result<Arc<ClientConfig>, BackendError> {
            let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .map_err(BackendError::Tls)?
                .dangerous()
                .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<_>)
                .with_no_client_auth();
            config.alpn_protocols = vec![protocol.to_vec()];
            Ok(Arc::new(config))
        };
        Ok(Self { http1: config(super::HTTP1)?, http2: config(super::H2)? })
    }

    /// The handshake that offers this protocol.
    #[must_use]
    pub fn config(&self, protocol: Protocol) -> &Arc<ClientConfig> {
        match protocol {
            Protocol::Http1 => &self.http1,
            Protocol::H2c => &self.http2,
        }
    }

    /// Which name is asked for and checked: `<service>.<namespace>.svc`, or the address where there is no such name.
    #[must_use]
    pub fn server_name(service: &ServiceKey, address: IpAddr) -> ServerName<'static> {
        let named = (!service.namespace.is_empty()).then(|| {
            ServerName::try_from(format!("{}.{}.svc", service.name, service.namespace)).ok()
        });
        named.flatten().unwrap_or_else(|| ServerName::from(address))
    }
}

fn read(path: &Path) -> Result<RootCertStore, BackendError> {
    let text =
        fs::read(path).map_err(|source| BackendError::Io { path: path.to_owned(), source })?;
    let unusable = || BackendError::Unusable { path: path.to_owned() };
    let mut authorities = RootCertStore::empty();
    for authority in pem::certificates(&text, "authority").map_err(|_| unusable())? {
        authorities.add(authority).map_err(|_| unusable())?;
    }
    Ok(authorities)
}

impl ServerCertVerifier for Pods {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(authorities) = &self.authorities {
            let leaf = ParsedCertificate::try_from(leaf)?;
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &leaf,
                authorities,
                intermediates,
                now,
                algorithms,
            )?;
            if let ServerName::DnsName(_) = server_name {
                verify_server_name(&leaf, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, leaf, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, leaf, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
