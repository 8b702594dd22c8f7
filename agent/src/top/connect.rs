//! One request to an agent: over TCP, or over TLS with the files that the command line names.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::cli::Entry;

/// Thousands of containers fit; anything larger is not an agent's answer.
const MAX_BYTES: usize = 64 << 20;

/// Where to ask, and how.
pub(super) struct Target<'a> {
    base: &'a Uri,
    host: &'a str,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl<'a> Target<'a> {
    /// Of an address; the files are read, nothing is sent.
    ///
    /// # Errors
    /// When it is no agent's address, or a file cannot be used.
    pub(super) fn of(base: &'a Uri, entry: &Entry) -> anyhow::Result<Self> {
        let (Some(scheme @ ("http" | "https")), Some(host)) = (base.scheme_str(), base.host())
        else {
            bail!("{base} is not an address of an agent; write one such as http://127.0.0.1:9464");
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_tls = scheme == "https";
        let port = base.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let tls = match &entry.ca {
            None if is_tls => {
                bail!("{base} needs --ca FILE, the authorities that sign the agent's certificate")
            }
            Some(_) if !is_tls => bail!("{base} has no TLS for --ca; write https:// instead"),
            Some(ca) => {
                let name = entry.server_name.as_deref().unwrap_or(host);
                let name = ServerName::try_from(name.to_owned())
                    .with_context(|| format!("{name:?} is no name that a certificate can have"))?;
                Some((TlsConnector::from(Arc::new(config(ca, entry)?)), name))
            }
            None => None,
        };
        Ok(Self { base, host, port, tls })
    }

    /// Sends it on a connection of its own, and gives the whole answer.
    ///
    /// # Errors
    /// When nobody answers, or the agent's certificate is not good.
    pub(super) async fn ask(
        self,
        request: Request<Empty<Bytes>>,
    ) -> anyhow::Result<Response<Bytes>> {
        let base = self.base;
        let stream = TcpStream::connect((self.host, self.port)).await.with_context(|| {
            format!("no agent answers on {base}; start one with podmeter run or podmeter demo, or name another with --url")
        })?;
        let asked = match self.tls {
            None => exchange(stream, request).await,
            Some((connector, name)) => {
                let stream = connector.connect(name, stream).await;
                exchange(stream.with_context(|| format!("no TLS with {base}"))?, request).await
            }
        };
        asked.with_context(|| {
            format!("no agent answers on {base}; it may want https, or a client certificate (--certificate and --key)")
        })
    }
}

async fn exchange<S>(stream: S, request: Request<Empty<Bytes>>) -> anyhow::Result<Response<Bytes>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let asked = async move {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, MAX_BYTES).collect().await;
        let body = body.map_err(|error| anyhow!(error)).context("the answer broke off")?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    };
    // The connection ends with its only request. How, the request says.
    futures::future::join(asked, connection).await.0
}

fn config(ca: &Path, entry: &Entry) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(ca)? {
        roots.add(authority).map_err(|_| unusable(ca, "authority"))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let (Some(certificate), Some(key)) = (&entry.certificate, &entry.key) else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(certificate)?;
    // The parser's own words quote the file.
    let read = PrivateKeyDer::from_pem_file(key).map_err(|_| unusable(key, "private key"))?;
    builder.with_client_auth_cert(chain, read).with_context(|| {
        format!("the key {} does not go with {}", key.display(), certificate.display())
    })
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let found: Vec<_> = found.map_err(|_| unusable(file, "certificate"))?;
    if found.is_empty() { Err(unusable(file, "certificate")) } else { Ok(found) }
}

fn unusable(file: &Path, what: &str) -> anyhow::Error {
    anyhow!("{} has no {what} that can be used; write its path, in PEM", file.display())
}
