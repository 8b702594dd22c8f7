//! Makes connections to pods.

use std::io;
use std::time::Duration;

use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

use super::Backend;
use super::link::Link;
use super::stream::Stream;
use crate::proxy::failure::Failure;
use crate::proxy::forward::upload::Upload;
use crate::proxy::service::Protocol;
use crate::proxy::settings::Limits;
use crate::proxy::tls;

/// How long an HTTP/2 connection may be silent before the pod is asked whether it lives, and how long
/// that may take.
const PING_AFTER: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of a body that may be under way to us unread, of one stream and of all. hyper's defaults would let
/// one slow client hold a megabyte.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

/// What is needed to connect.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) tls: tls::Backend,
    pub(crate) limits: Limits,
}

impl Connector {
    /// A connection for one request at a time.
    ///
    /// # Errors
    /// When the pod does not accept one within `wait`.
    pub(crate) async fn link(
        &self,
        backend: &Backend,
        wait: Duration,
    ) -> Result<Box<Link>, Failure> {
        let stream = self.stream(backend, wait, Protocol::Http1).await?;
        Link::new(stream, &self.limits).await.map_err(|_| Failure::ConnectFailed)
    }

    /// A connection for many requests at a time, driven by one of `tasks`.
    ///
    /// # Errors
    /// When the pod does not accept one within `wait`.
    pub(crate) async fn shared(
        &self,
        backend: &Backend,
        wait: Duration,
        tasks: &TaskTracker,
    ) -> Result<http2::SendRequest<Upload>, Failure> {
        let stream = self.stream(backend, wait, Protocol::H2c).await?;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PONG_WITHIN)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(self.limits.head_bytes).unwrap_or(u32::MAX))
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|_| Failure::ConnectFailed)?;
        // How it ends is told to each request over it.
        tasks.spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    async fn stream(
        &self,
        backend: &Backend,
        wait: Duration,
        protocol: Protocol,
    ) -> Result<Stream, Failure> {
        timeout(wait, self.dial(backend, protocol)).await.unwrap_or(Err(Failure::ConnectTimeout))
    }

    async fn dial(&self, backend: &Backend, protocol: Protocol) -> Result<Stream, Failure> {
        let stream =
            TcpStream::connect(backend.key.address).await.map_err(|error| match error.kind() {
                io::ErrorKind::ConnectionRefused => Failure::ConnectRefused,
                io::ErrorKind::TimedOut => Failure::ConnectTimeout,
                _ if is_shortage(&error) => Failure::NoSocket,
                _ => Failure::ConnectFailed,
            })?;
        // Without it the kernel holds small writes back; the pod would look slow.
        let _ = stream.set_nodelay(true);
        let Some(name) = &backend.key.tls else {
            return Ok(Stream::Plain(stream));
        };
        let config = self.tls.config(protocol).clone();
        let stream = TlsConnector::from(config).connect(name.clone(), stream).await;
        stream.map(|stream| Stream::Tls(Box::new(stream))).map_err(|_| Failure::Tls)
    }
}

/// Whether it is this node that has no room for another connection.
fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let short = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL];
    short.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
