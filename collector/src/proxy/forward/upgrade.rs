//! Connections that turn into something else, such as `WebSocket`: after a 101 the bytes are passed on as they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Connection;
use super::attempt::Attempt;
use super::upload::Upload;
use super::whole::Whole;
use crate::proxy::backend::link::{Link, Unsent};
use crate::proxy::failure::Failure;
use crate::proxy::worker::Worker;

/// Bytes passed on at once, each way.
const BUFFER: usize = 16 << 10;

/// What a request asks to become, if it asks. Several protocols, or an `Upgrade` that `Connection` does not name, are
/// none.
pub(crate) fn asked(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut asked = headers.get_all(UPGRADE).iter();
    let protocol = asked.next()?;
    if asked.next().is_some() || !is_named(headers) {
        return None;
    }
    Some(protocol.clone())
}

fn is_named(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"))
}

/// Puts what [`asked`] found back after the hop-by-hop headers are gone.
pub(crate) fn ask(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(UPGRADE, protocol);
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
}

/// Sends a request that asks for an upgrade over a connection that may turn into something else.
pub(crate) async fn send(
    worker: &Worker,
    link: Link,
    request: Request<Upload>,
) -> Result<Response<Incoming>, Unsent> {
    let (mut sender, connection) = link.into_parts();
    // How it ends is told to whoever waits for the answer.
    worker.tasks.spawn(async move { drop(connection.with_upgrades().await) });
    sender.try_send_request(request).await
}

/// The two ends of a tunnel, and what is measured of it.
pub(crate) struct Tunnel {
    pub(crate) client: OnUpgrade,
    pub(crate) pod: OnUpgrade,
    pub(crate) attempt: Attempt,
    pub(crate) whole: Whole,
    pub(crate) idle: Duration,
    /// Whose it is: it keeps its place among the connections, and may be ended.
    pub(crate) connection: Arc<Connection>,
}

impl Tunnel {
    /// Passes bytes on until both ends are done, one fails, nothing moves for too long, or it must end.
    pub(crate) async fn run(mut self) {
        let down = AtomicU64::new(0);
        let outcome = tokio::select! {
            () = self.connection.ended() => Ok(()),
            outcome = pass(self.client, self.pod, self.idle, &down) => outcome,
        };
        self.attempt.response_bytes = down.load(Relaxed);
        self.whole.response_bytes = down.load(Relaxed);
        match outcome {
            Ok(()) => self.attempt.finish(),
            Err(failure) => {
                self.attempt.fail(failure);
                self.whole.failed(failure.as_str());
            }
        }
        self.whole.finish();
    }
}

/// `down` counts the pod's bytes.
async fn pass(
    client: OnUpgrade,
    pod: OnUpgrade,
    idle: Duration,
    down: &AtomicU64,
) -> Result<(), Failure> {
    let client = TokioIo::new(client.await.map_err(|_| Failure::ClientGone)?);
    let pod = TokioIo::new(pod.await.map_err(|_| Failure::Reset)?);
    let (client_read, client_write) = tokio::io::split(client);
    let (pod_read, pod_write) = tokio::io::split(pod);
    let moved = Arc::new(tokio::sync::Notify::new());
    let up = Direction {
        moved: &moved,
        bytes: &AtomicU64::new(0),
        unread: Failure::ClientGone,
        unwritten: Failure::Reset,
    };
    let down = Direction {
        moved: &moved,
        bytes: down,
        unread: Failure::Reset,
        unwritten: Failure::ClientGone,
    };
    let both = async {
        tokio::try_join!(
            one_way(client_read, pod_write, &up),
            one_way(pod_read, client_write, &down),
        )
    };
    tokio::select! {
        outcome = both => outcome.map(drop),
        () = silence(&moved, idle) => Err(Failure::IdleTimeout),
    }
}

/// Until nothing has moved for `bound`.
async fn silence(moved: &tokio::sync::Notify, bound: Duration) {
    while tokio::time::timeout(bound, moved.notified()).await.is_ok() {}
}

/// One way of a tunnel.
struct Direction<'a> {
    /// Told of every piece.
    moved: &'a tokio::sync::Notify,
    /// Passed on so far.
    bytes: &'a AtomicU64,
    /// What it is when there is no reading, and when there is no writing.
    unread: Failure,
    unwritten: Failure,
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    way: &Direction<'_>,
) -> Result<(), Failure> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = from.read(&mut buffer).await.map_err(|_| way.unread)?;
        if length == 0 {
            // The other way may go on.
            let _ = to.shutdown().await;
            return Ok(());
        }
        way.moved.notify_one();
        to.write_all(&buffer[..length]).await.map_err(|_| way.unwritten)?;
        to.flush().await.map_err(|_| way.unwritten)?;
        way.bytes.fetch_add(length as u64, Relaxed);
    }
}

/// Whether an answer turns the connection into something else.
pub(crate) fn is_done(status: StatusCode) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS
}
