//! Connections: accepted within a bound, served, ended in order.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::access::Reason;
use super::stream::{Progress, Watched};
use super::{HEAD_BYTES, Refusal, Shared, routes};

/// What a client beyond the bound is told: one write that its empty socket buffer always takes.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 36\r\n\r\nToo many connections are open here.\n";

/// Pause after the kernel gave no connection: being out of files passes, and trying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts until `stop`, then waits for what is under way. Its connections never outlive it.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &shared) => {
                if let Some((stream, permit)) = accepted {
                    connections.spawn(connection(stream, permit, Arc::clone(&shared), stop.clone()));
                }
            }
            Some(ended) = connections.join_next() => report(&shared, ended),
        }
    }
    drop(listener);
    let drained = timeout(shared.settings.grace, async {
        while let Some(ended) = connections.join_next().await {
            report(&shared, ended);
        }
    });
    if drained.await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "answers were cut off, the grace time is over"
        );
    }
    connections.shutdown().await;
}

fn report(shared: &Shared, ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        shared.stats.refuse(Refusal::Internal);
        tracing::error!(%error, "a connection's task failed");
    }
}

async fn accept(
    listener: &TcpListener,
    shared: &Shared,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let stream = match listener.accept().await {
        Ok((stream, _)) => stream,
        Err(error) => {
            // One that ended before it was accepted is nobody's fault.
            if error.kind() != io::ErrorKind::ConnectionAborted {
                shared.stats.refuse(Refusal::Accept);
                tracing::warn!(%error, "no connection could be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
            return None;
        }
    };
    let Ok(permit) = Arc::clone(&shared.connections).try_acquire_owned() else {
        shared.stats.refuse(Refusal::TooManyConnections);
        // What cannot be said at once stays unsaid: this client is not to cost anything. Within TLS nothing can.
        if shared.entry.tls.is_none() {
            let _ = stream.try_write(FULL);
        }
        return None;
    };
    // Answers are written whole, so waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    Some((stream, permit))
}

async fn connection(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    match &shared.entry.tls {
        None => requests(stream, &shared, false, &stop).await,
        Some(tls) => {
            // As with a head, one that does not come to its end is not waited for when everything stops.
            let shaken = stop.run_until_cancelled(tls.accept(stream, &shared));
            if let Some(Some((stream, session))) = shaken.await {
                let certified = session.client.is_some();
                tokio::select! {
                    () = requests(stream, &shared, certified, &stop) => {}
                    () = session.revoked.cancelled() => {
                        shared.entry.access.stats.refuse(Reason::Revoked);
                    }
                }
            }
        }
    }
    drop(permit);
}

/// Serves the requests of a connection; `certified` if its client showed a good certificate.
async fn requests<S>(stream: S, shared: &Arc<Shared>, certified: bool, stop: &CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (stream, progress) = Watched::new(stream, shared.settings.answer_timeout);
    let service = service_fn(|request| {
        let shared = Arc::clone(shared);
        async move { Ok::<_, Infallible>(routes::answer(&shared, request, certified).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(shared.settings.head_timeout)
            .max_header_size(HEAD_BYTES)
            .max_buf_size(2 * HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Some(reason) = ended.err().and_then(|error| reason(&error, &progress)) {
        shared.stats.refuse(reason);
    }
}

/// Why a connection ended that was not to; `None` where the client just went away.
fn reason(error: &hyper::Error, progress: &Progress) -> Option<Refusal> {
    if progress.was_too_slow() {
        Some(Refusal::AnswerTimeout)
    } else if error.is_parse_too_large() {
        Some(Refusal::HeadTooLarge)
    } else if error.is_parse() {
        Some(Refusal::Malformed)
    } else if error.is_timeout() && !progress.is_idle() {
        Some(Refusal::HeadTimeout)
    } else {
        None
    }
}
