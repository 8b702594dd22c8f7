//! What every proxy is told: where to listen, the certificate, and the two backends behind it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// The host that is asked for. A name and not an address, so that clients send it when they shake hands.
pub(crate) const HOST: &str = "localhost";

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    /// In the table.
    pub(crate) name: &'static str,
    /// In the request.
    pub(crate) path: &'static str,
    /// Bytes of the answer's body.
    pub(crate) size: usize,
}

/// 1 KiB.
pub(crate) const SMALL: Page = Page { name: "1 KiB", path: "/1k", size: 1 << 10 };
/// 100 KiB.
pub(crate) const LARGE: Page = Page { name: "100 KiB", path: "/100k", size: 100 << 10 };

impl Page {
    /// The answer's body.
    pub(crate) fn body(self) -> Vec<u8> {
        (b'!'..=b'~').cycle().take(self.size).collect()
    }
}

/// What one proxy is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// Its own folder, in memory.
    pub(crate) directory: &'a Path,
    /// Where it serves HTTP.
    pub(crate) plain: SocketAddr,
    /// Where it serves HTTPS.
    pub(crate) tls: SocketAddr,
    /// For HTTPS.
    pub(crate) certificate: &'a Certificate,
    /// Whom it asks, in plain HTTP.
    pub(crate) backends: [SocketAddr; 2],
}

/// ECDSA P-256, of a name, signed by itself.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// PEM.
    pub(crate) chain: PathBuf,
    /// PEM.
    pub(crate) key: PathBuf,
    /// Both in one file.
    pub(crate) both: PathBuf,
    der: CertificateDer<'static>,
}

impl Certificate {
    /// Makes one and writes its files.
    pub(crate) fn make(directory: &Path) -> anyhow::Result<Self> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let certificate =
            rcgen::CertificateParams::new(vec![HOST.to_owned()])?.self_signed(&key)?;
        let made = Self {
            chain: directory.join("certificate.pem"),
            key: directory.join("key.pem"),
            both: directory.join("both.pem"),
            der: certificate.der().clone(),
        };
        fs::write(&made.chain, certificate.pem())?;
        fs::write(&made.key, key.serialize_pem())?;
        fs::write(&made.both, certificate.pem() + &key.serialize_pem())?;
        Ok(made)
    }

    /// A client that trusts it, speaks TLS 1.3 only and resumes no session.
    pub(crate) fn client(&self) -> anyhow::Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.resumption = rustls::client::Resumption::disabled();
        Ok(Arc::new(client))
    }
}
