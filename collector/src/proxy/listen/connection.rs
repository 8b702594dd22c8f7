//! One client's connection, from the accept to its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::proxy::forward::Connection;
use crate::proxy::forward::pace::Streams;
use crate::proxy::forwarded::Peer;
use crate::proxy::guard::addresses::Permit;
use crate::proxy::guard::stream::{self, Protocol, Stream};
use crate::proxy::guard::verdict::Verdict;
use crate::proxy::preamble::{self, Rewound};
use crate::proxy::refusal::Refusal;
use crate::proxy::settings::Settings;
use crate::proxy::tls::Session;
use crate::proxy::worker::Worker;

/// How long an HTTP/2 connection may be silent before the client is asked whether it lives, and how long that may take.
const PING_AFTER: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of bodies that may be under way to us unread, of one stream and of a whole connection.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// What hyper reads of a body together with the longest head.
const HEAD_SLACK: usize = 8 << 10;
/// Bytes of one stream's answer that wait for the client. With a hundred streams this is the most memory that a client
/// who opens all windows and takes nothing can fill.
const SEND_BUFFER: usize = 32 << 10;

/// Drives a connection to its end; once it is to end in order, to the end of its present requests.
macro_rules! graceful {
    ($served:ident, $ends:expr) => {{
        let mut served = pin!($served);
        tokio::select! {
            // What has come by now is still read.
            biased;
            outcome = served.as_mut() => outcome,
            () = $ends => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        }
    }};
}

/// What all connections of a socket share.
#[derive(Clone)]
pub(super) struct Terms {
    pub(super) worker: Arc<Worker>,
    pub(super) is_tls: bool,
    /// No further request after the present one.
    pub(super) drain: CancellationToken,
    /// End at once.
    pub(super) end: CancellationToken,
}

/// A connection that was accepted.
pub(super) struct Accepted {
    pub(super) terms: Terms,
    pub(super) peer: SocketAddr,
}

impl Accepted {
    pub(super) async fn serve(self, stream: TcpStream) {
        let shared = &self.terms.worker.shared;
        let outcome = if shared.announced.holds(self.peer.ip()) {
            Box::pin(self.after_preamble(stream)).await
        } else {
            match self.admit(self.peer, shared.connections.enter()) {
                Ok(permit) => self.secure(stream, self.peer, permit).await,
                Err(refusal) => {
                    self.turn_away(stream, refusal).await;
                    Err(refusal)
                }
            }
        };
        if let Err(refusal) = outcome {
            self.terms.worker.refused(refusal);
        }
    }

    /// Says why, where it can be said in plain text, and hangs up.
    async fn turn_away(&self, mut stream: TcpStream, refusal: Refusal) {
        if self.terms.is_tls {
            return;
        }
        let status = refusal.status();
        let sentence = refusal.sentence();
        let text = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\npodmeter-reason: {}\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{sentence}\n",
            refusal.as_str(),
            sentence.len() + 1,
        );
        let _ = timeout(Duration::from_secs(1), stream.write_all(text.as_bytes())).await;
        let _ = stream.shutdown().await;
    }

    /// A load balancer says first whose connection it passes on.
    async fn after_preamble(&self, mut stream: TcpStream) -> Result<(), Refusal> {
        let permit = match self.terms.worker.shared.connections.enter() {
            Ok(permit) => permit,
            Err(refusal) => {
                self.turn_away(stream, refusal).await;
                return Err(refusal);
            }
        };
        let wait = self.terms.worker.settings().timeouts.client_head;
        let preamble = timeout(wait, preamble::read(&mut stream))
            .await
            .map_err(|_| Refusal::ProxyProtocol)??;
        let peer = preamble.source.unwrap_or(self.peer);
        match self.admit(peer, Ok(permit)) {
            Ok(permit) => self.secure(Rewound::new(stream, preamble.rest), peer, permit).await,
            Err(refusal) => {
                self.turn_away(stream, refusal).await;
                Err(refusal)
            }
        }
    }

    /// One place is also its address's, unless that stands for many clients.
    fn admit(&self, peer: SocketAddr, entered: Result<Permit, Refusal>) -> Result<Permit, Refusal> {
        let mut permit = entered?;
        if !self.terms.worker.shared.trust.holds(peer.ip()) {
            permit.settle(peer.ip())?;
        }
        Ok(permit)
    }

    async fn secure<T>(&self, stream: T, peer: SocketAddr, permit: Permit) -> Result<(), Refusal>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if !self.terms.is_tls {
            return Box::pin(self.speak(stream, peer, permit, None)).await;
        }
        let wait = self.terms.worker.settings().timeouts.client_head;
        let accept = Box::pin(self.terms.worker.shared.acceptor.accept(stream));
        let (stream, session) = timeout(wait, accept).await.map_err(|_| Refusal::Handshake)??;
        Box::pin(self.speak(stream, peer, permit, Some(session))).await
    }

    async fn speak<T>(
        &self,
        stream: T,
        peer: SocketAddr,
        permit: Permit,
        tls: Option<Session>,
    ) -> Result<(), Refusal>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let settings = self.terms.worker.settings();
        let terms = stream::Terms::new(&settings.timeouts, &settings.limits);
        let stream = match &tls {
            // What a client may speak over TLS was agreed on in the handshake.
            Some(session) if session.http2 => Stream::new(stream, Protocol::Http2, terms),
            Some(_) => Stream::new(stream, Protocol::Http1, terms),
            // One that goes without a word leaves nobody to be answered.
            None => tokio::select! {
                biased;
                sniffed = Stream::sniff(stream, terms) => match sniffed {
                    Ok(stream) => stream,
                    Err(_) => return Ok(()),
                },
                () = self.terms.drain.cancelled() => return Ok(()),
            },
        };
        let (verdict, protocol) = (stream.verdict(), stream.protocol());
        let connection = Arc::new(Connection {
            worker: self.terms.worker.clone(),
            peer: self.client(peer, tls.as_ref()),
            tls,
            verdict: verdict.clone(),
            end: self.terms.end.clone(),
            _permit: permit,
        });
        let serving = connection.clone();
        let service = service_fn(move |request| {
            let connection = serving.clone();
            async move { Ok::<_, Infallible>(connection.serve(request).await) }
        });
        let served = async {
            let stream = TokioIo::new(stream);
            match protocol {
                Protocol::Http2 => {
                    let served = self.http2(&verdict).serve_connection(stream, service);
                    let ends = async {
                        tokio::select! {
                            () = self.terms.drain.cancelled() => {}
                            () = verdict.retired() => {}
                        }
                    };
                    graceful!(served, ends)
                }
                Protocol::Http1 => {
                    let served = self.http1().serve_connection(stream, service).with_upgrades();
                    graceful!(served, self.terms.drain.cancelled())
                }
            }
        };
        let outcome = tokio::select! {
            // How it ended was told to the requests it carried.
            outcome = served => outcome,
            () = connection.ended() => Ok(()),
        };
        // A whole connection that was given up; a refused request of HTTP/1 was counted when it was answered.
        match verdict.broken() {
            _ if protocol == Protocol::Http1 => Ok(()),
            Some(refusal) => Err(refusal),
            None if outcome.is_err_and(|error| is_flood(&error)) => Err(Refusal::Http2Flood),
            None => Ok(()),
        }
    }

    /// Who the client is, and what of its certificate pods are told.
    fn client(&self, peer: SocketAddr, tls: Option<&Session>) -> Peer {
        let certificate = tls
            .and_then(|session| session.client.as_ref())
            .map(|certificate| certificate.forwarded().clone());
        Peer::new(&self.terms.worker.shared.trust, peer, tls.is_some(), certificate)
            .told_by(self.peer)
    }

    fn http1(&self) -> http1::Builder {
        let limits = &self.terms.worker.settings().limits;
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            // The guard keeps time.
            .header_read_timeout(None)
            .max_headers(limits.headers)
            .max_buf_size(limits.head_bytes + HEAD_SLACK);
        builder
    }

    fn http2(&self, verdict: &Arc<Verdict>) -> http2::Builder<Streams> {
        let Settings { limits, timeouts, .. } = self.terms.worker.settings();
        let mut builder = http2::Builder::new(Streams::new(verdict.clone(), timeouts.idle));
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(PING_AFTER)
            .keep_alive_timeout(PONG_WITHIN);
        builder
    }
}

/// Whether the library gave the connection up: what is reset before it is looked at, and data of no size to speak of,
/// it bounds itself.
fn is_flood(error: &hyper::Error) -> bool {
    let cause = std::error::Error::source(error);
    let cause = cause.and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| {
        !cause.is_remote() && cause.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)
    })
}
