//! A client that hides nothing: one request after the other on a connection, plain or within TLS.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::authority::{Ca, Pair};
use crate::running::LIMIT;

/// The name in the agent's certificates.
pub(crate) const NAME: &str = "podmeter.test";

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The status line and the headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Bytes both ways.
pub(crate) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// A connection.
pub(crate) struct Client(Box<dyn Stream>);

impl Client {
    /// Plain.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self(Box::new(tcp(address)?)))
    }

    /// Within TLS, by the authority that is trusted and with the certificate that is shown. With TLS 1.3 a client
    /// learns only from the first answer whether its certificate was taken.
    pub(crate) fn secure(address: SocketAddr, ca: &Ca, pair: Option<&Pair>) -> io::Result<Self> {
        let name = ServerName::try_from(NAME).unwrap();
        let connection = ClientConnection::new(config(ca, pair), name).unwrap();
        let mut stream = StreamOwned::new(connection, tcp(address)?);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self(Box::new(stream)))
    }

    /// The answer to a GET with these header lines.
    pub(crate) fn get(&mut self, path: &str, headers: &str) -> io::Result<Reply> {
        write!(self.0, "GET {path} HTTP/1.1\r\nhost: podmeter\r\n{headers}\r\n")?;
        self.0.flush()?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut body)?;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Ok(Reply { status, head, body: String::from_utf8(body).unwrap() })
    }
}

/// The header line with a token.
pub(crate) fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}

fn config(ca: &Ca, pair: Option<&Pair>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match pair {
        Some(pair) => config.with_client_auth_cert(pair.chain(), pair.key()).unwrap(),
        None => config.with_no_client_auth(),
    };
    // As scrapers do it, which would take HTTP/2 if it were offered.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}
