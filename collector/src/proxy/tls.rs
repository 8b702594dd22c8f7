//! TLS from clients and to pods.
//!
//! [`Acceptor`] makes the handshakes of clients: with the certificate that [`Certificates`] has for the host, and
//! with the verification of client certificates that [`Clients`] has in force. [`Backend`] is TLS to pods, and
//! [`Files`] tells what PEM files hold. Everything can change while connections are open; a change never waits for
//! them, and they never wait for a change.

mod authorities;
mod backend;
mod certificates;
mod clients;
mod files;
mod open;
mod pem;
mod subject;
#[cfg(test)]
mod testing;

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

pub use backend::{Backend, BackendError};
pub use certificates::Certificates;
pub use clients::Clients;
pub use files::{Files, Unusable};
pub use pem::is_note;
pub use subject::ClientCertificate;

use super::control::{Authorities, Certificate, ToldTls};
use super::refusal::Refusal;
use super::route::{Fault, Origin, Source};
use super::settings::Tls;

const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// What is spoken within TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocols {
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 too, where the client has it.
    Http2,
}

impl Protocols {
    /// As the handshake offers them, the preferred one first.
    fn alpn(self) -> Vec<Vec<u8>> {
        match self {
            Self::Http1 => vec![HTTP1.to_vec()],
            Self::Http2 => vec![H2.to_vec(), HTTP1.to_vec()],
        }
    }
}

/// Makes the TLS handshakes of clients.
#[derive(Debug)]
pub struct Acceptor {
    certificates: Arc<Certificates>,
    clients: Clients,
}

/// What a handshake agreed on. The connection counts as open until this is dropped.
#[derive(Debug)]
pub struct Session {
    /// Whether HTTP/2 is spoken, else HTTP/1.1.
    pub http2: bool,
    /// The host that the client named, in lower case.
    pub server_name: Option<Arc<str>>,
    /// The client's verified certificate, if it showed one.
    pub client: Option<Arc<ClientCertificate>>,
    /// Cancelled when that certificate is no longer good: close the connection at once.
    pub revoked: CancellationToken,
    _open: Option<open::Registered>,
}

impl Acceptor {
    /// For these settings and at most so many connections of clients with certificates. Until it is told certificates
    /// it refuses every handshake, and where client certificates are required, every client until it is told who
    /// signs them.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(tls: &Tls, connections: usize, protocols: Protocols) -> io::Result<Self> {
        let certificates = Arc::new(Certificates::new(provider(), protocols));
        let clients = Clients::new(tls.clients.as_ref(), Arc::clone(&certificates), connections)?;
        Ok(Self { certificates, clients })
    }

    /// Makes the handshake. How long it may take is the caller's business.
    ///
    /// # Errors
    /// [`Refusal::ClientCertificate`] when the client's certificate is absent or not good, [`Refusal::Handshake`]
    /// when anything else fails, [`Refusal::Connections`] when too many with certificates are open.
    pub async fn accept<T>(&self, io: T) -> Result<(TlsStream<T>, Session), Refusal>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let policy = self.clients.policy();
        // Fail closed: without authorities no certificate can be good. No handshake is worth its cost then.
        let config = policy.config().ok_or(Refusal::ClientCertificate)?;
        let stream = TlsAcceptor::from(Arc::clone(config))
            .accept(io)
            .await
            .map_err(|error| refusal(&error))?;
        let connection = stream.get_ref().1;
        let open = match connection.peer_certificates() {
            Some(chain) => Some(self.clients.register(chain, &policy)?),
            None => None,
        };
        let session = Session {
            http2: connection.alpn_protocol() == Some(H2),
            server_name: connection.server_name().map(Arc::from),
            client: open.as_ref().map(open::Registered::client),
            revoked: open.as_ref().map_or_else(CancellationToken::new, open::Registered::revoked),
            _open: open,
        };
        Ok((stream, session))
    }

    /// Whether a request for this host may come over a connection made for that name; see [`Certificates::covers`].
    #[must_use]
    pub fn covers(&self, server_name: Option<&str>, host: &str) -> bool {
        self.certificates.covers(server_name, host)
    }

    /// Until when each certificate in force is good.
    #[must_use]
    pub fn expiries(&self) -> Vec<(Origin, SystemTime)> {
        self.certificates.expiries()
    }

    /// Until when the revocation lists in force are good, by the one that ends first.
    #[must_use]
    pub fn revocation_expiry(&self) -> Option<SystemTime> {
        self.clients.policy().expiry()
    }

    /// Connections that were closed since their client's certificate was no longer good.
    #[must_use]
    pub fn revoked(&self) -> u64 {
        self.clients.revoked()
    }
}

/// As [`Certificates::told`] and [`Clients::told`] say.
impl ToldTls for Acceptor {
    fn certificates(&self, source: Source, certificates: Vec<Certificate>) -> Vec<Fault> {
        self.certificates.told(source, certificates)
    }

    fn authorities(&self, authorities: Authorities) -> Vec<Fault> {
        self.clients.told(&authorities)
    }
}

/// The one implementation of cryptography, named so that none is taken from the process by chance.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What the log and the counters say of a handshake that failed.
fn refusal(error: &io::Error) -> Refusal {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(
            rustls::Error::NoCertificatesPresented
            | rustls::Error::InvalidCertificate(_)
            | rustls::Error::InvalidCertRevocationList(_),
        ) => Refusal::ClientCertificate,
        _ => Refusal::Handshake,
    }
}

/// How handshakes are made: TLS 1.2 and 1.3 as rustls has them.
///
/// Sessions are resumed by tickets that this process can read, and keeps nothing for. With client certificates
/// there are none: a resumed session would not be checked against revocation lists.
fn config(
    certificates: &Arc<Certificates>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    tickets: bool,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier.unwrap_or_else(WebPkiClientVerifier::no_client_auth))
        .with_cert_resolver(Arc::clone(certificates) as Arc<_>);
    config.alpn_protocols = certificates.protocols().alpn();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if tickets {
        config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    } else {
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests;
