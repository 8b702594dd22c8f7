//! The demo's processes: this program again, under a hidden subcommand.
//!
//! Each waits for a line on its stdin, so that it is in its cgroup before it uses anything, and dies with
//! the demo: the kernel kills it when the thread that started it ends, in whatever way.

use std::convert::Infallible;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::cli::{Job, Worker};

/// What lies below takes this many times as long.
const SLOW: (&str, u32) = ("/export", 10);
/// What the application does not have.
const MISSING: &str = "/missing";

/// One turn of computing and resting; short against the kernel's bandwidth period of 100 ms.
const TURN: Duration = Duration::from_millis(20);
/// Connections that the small HTTP app serves at once.
const MAX_CONNECTIONS: usize = 256;

/// Does the job until it is killed.
///
/// # Errors
/// When the process cannot be tied to its parent or the HTTP app cannot listen.
pub fn run(worker: &Worker) -> anyhow::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut line = String::new();
    // A parent that was gone before the line above shows as a closed pipe here.
    if std::io::stdin().lock().read_line(&mut line)? == 0 {
        return Ok(());
    }
    match worker.job {
        Job::Burn { cores, hold } => burn(cores, &held(hold)),
        Job::Drift { from, step } => drift(from, step),
        Job::Http { delay, hold, errors } => {
            let held = held(hold);
            let listen = worker.listen.context("an HTTP app needs --listen")?;
            let app =
                App { delay: Duration::from_millis(delay), errors, answers: AtomicU64::new(0) };
            let outcome = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(serve(listen, Arc::new(app)));
            drop(held);
            return outcome;
        }
    }
    Ok(())
}

/// So many MiB of memory, every page written so that the kernel has to give it.
fn held(mib: usize) -> Vec<u8> {
    black_box(vec![1; mib << 20])
}

fn burn(cores: f64, held: &[u8]) {
    let busy = TURN.mul_f64(cores.clamp(0.0, 1.0));
    loop {
        let turn = Instant::now();
        while turn.elapsed() < busy {
            black_box((0..2_000_u64).fold(0, u64::wrapping_add));
        }
        black_box(held);
        thread::sleep(TURN.saturating_sub(turn.elapsed()));
    }
}

fn drift(from: usize, step: usize) {
    let mut all = vec![held(from)];
    loop {
        thread::sleep(Duration::from_secs(1));
        all.push(black_box(vec![1; step << 10]));
    }
}

/// The small HTTP app.
struct App {
    delay: Duration,
    /// One answer in so many is 500; none at 0.
    errors: u64,
    answers: AtomicU64,
}

impl App {
    async fn answer(&self, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
        // Read to its end, so that the connection can be used again.
        while let Some(Ok(_)) = request.frame().await {}
        let path = request.uri().path();
        let times = if path.starts_with(SLOW.0) { SLOW.1 } else { 1 };
        tokio::time::sleep(self.delay * times).await;
        let (status, text) = self.outcome(path);
        let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
        *answer.status_mut() = status;
        answer
    }

    fn outcome(&self, path: &str) -> (StatusCode, &'static str) {
        if path == MISSING {
            return (StatusCode::NOT_FOUND, "there is no such thing\n");
        }
        let number = self.answers.fetch_add(1, Relaxed) + 1;
        match number.checked_rem(self.errors) {
            Some(0) => (StatusCode::INTERNAL_SERVER_ERROR, "this did not work\n"),
            _ => (StatusCode::OK, "ok\n"),
        }
    }
}

/// Serves on the pod's address, and says so in a line.
async fn serve(listen: SocketAddr, app: Arc<App>) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", listener.local_addr()?)?;
    stdout.flush()?;
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= MAX_CONNECTIONS || connections.try_join_next().is_some() {
            if connections.len() >= MAX_CONNECTIONS {
                connections.join_next().await;
            }
        }
        let (stream, _) = listener.accept().await?;
        let app = app.clone();
        let answer = service_fn(move |request| {
            let app = app.clone();
            async move { Ok::<_, Infallible>(app.answer(request).await) }
        });
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_in_so_many_is_an_error_and_at_0_none_is() {
        let errors = |errors| {
            let app = App { delay: Duration::ZERO, errors, answers: AtomicU64::new(0) };
            (0..100).filter(|_| app.outcome("/").0.is_server_error()).count()
        };
        assert_eq!((errors(25), errors(0)), (4, 0));
    }
}
