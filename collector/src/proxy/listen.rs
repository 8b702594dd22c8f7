//! Accepts clients' connections and serves them, on each worker's own sockets.
//!
//! The kernel spreads connections over the workers (`SO_REUSEPORT`), so that no worker waits for another.

mod connection;
mod socket;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::time::{interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::refusal::Refusal;
use super::worker::Worker;
use connection::{Accepted, Terms};
pub(crate) use socket::bind;
pub use socket::{BindError, Socket};

/// How long to wait when the kernel gives no connection, most often for want of files.
const OUT_OF_FILES: Duration = Duration::from_millis(50);
/// How long nothing more is said of that.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// How often idle connections to pods are looked through.
const SWEEP: Duration = Duration::from_secs(1);
/// How long what was told to end at once may take.
const FORCED: Duration = Duration::from_secs(1);

/// When a worker ends.
#[derive(Clone, Debug)]
pub struct Stop {
    /// No new connections; those there are end with their present request.
    pub drain: CancellationToken,
    /// How long that may take.
    pub timeout: Duration,
}

/// Serves until told to stop, and then until the last request has ended or the time is over.
pub(crate) async fn run(
    worker: Arc<Worker>,
    sockets: Vec<Socket>,
    stop: Stop,
) -> std::io::Result<()> {
    let end = CancellationToken::new();
    for socket in sockets {
        let is_tls = socket.is_tls;
        let listener = TcpListener::from_std(socket.listener)?;
        let (worker, drain, end) = (worker.clone(), stop.drain.clone(), end.clone());
        let tasks = worker.tasks.clone();
        tasks.spawn(accept(listener, Terms { worker, is_tls, drain, end }));
    }
    tokio::select! {
        () = stop.drain.cancelled() => {}
        () = sweep(&worker) => {}
    }
    worker.tasks.close();
    if timeout(stop.timeout, worker.tasks.wait()).await.is_err() {
        tracing::warn!(
            worker = worker.index,
            left = worker.tasks.len(),
            "connections are cut, as they did not end in time"
        );
        end.cancel();
        let _ = timeout(FORCED, worker.tasks.wait()).await;
    }
    worker.links.close();
    for backend in worker.shared.registry.backends() {
        backend.shared(worker.index).clear();
    }
    let _ = timeout(FORCED, worker.links.wait()).await;
    Ok(())
}

/// Closes connections to pods that were idle for too long. Never ends.
async fn sweep(worker: &Worker) {
    let mut ticks = interval(SWEEP);
    loop {
        ticks.tick().await;
        let oldest = Instant::now().checked_sub(worker.settings().timeouts.backend_idle);
        for backend in worker.shared.registry.backends() {
            if let Some(oldest) = oldest {
                backend.pool(worker.index).close_older(oldest);
            }
        }
    }
}

async fn accept(listener: TcpListener, terms: Terms) {
    let worker = &terms.worker;
    let mut told: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            () = terms.drain.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                worker.tasks.spawn(Accepted { terms: terms.clone(), peer }.serve(stream));
            }
            // The client was gone before we looked.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                if told.is_none_or(|at| at.elapsed() >= TELL_AGAIN) {
                    tracing::warn!(%error, "cannot accept connections");
                    told = Some(Instant::now());
                }
                worker.refused(Refusal::Accept);
                sleep(OUT_OF_FILES).await;
            }
        }
    }
}
