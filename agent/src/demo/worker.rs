//! The demo's processes: this program again, under a hidden subcommand.
//!
//! Each waits for a line on its stdin, so that it is in its cgroup before it uses anything, and dies with
//! the demo: the kernel kills it when the thread that started it ends, in whatever way.

use std::convert::Infallible;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::cli::Job;

/// One turn of computing and resting; short against the kernel's bandwidth period of 100 ms.
const TURN: Duration = Duration::from_millis(20);
/// Connections that the small HTTP app serves at once.
const MAX_CONNECTIONS: usize = 256;

/// Does the job until it is killed.
///
/// # Errors
/// When the process cannot be tied to its parent or the HTTP app cannot listen.
pub fn run(job: &Job) -> anyhow::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let mut line = String::new();
    // A parent that was gone before the line above shows as a closed pipe here.
    if std::io::stdin().lock().read_line(&mut line)? == 0 {
        return Ok(());
    }
    match *job {
        Job::Burn { cores, hold } => burn(cores, &held(hold)),
        Job::Drift { from, step } => drift(from, step),
        Job::Http { delay, hold } => {
            let held = held(hold);
            let outcome = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(serve(Duration::from_millis(delay)));
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

/// Answers everything after `delay`, on a port that it prints.
async fn serve(delay: Duration) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{}", listener.local_addr()?.port())?;
    stdout.flush()?;
    let answer = move |_: Request<Incoming>| async move {
        tokio::time::sleep(delay).await;
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"ok\n"))))
    };
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= MAX_CONNECTIONS || connections.try_join_next().is_some() {
            if connections.len() >= MAX_CONNECTIONS {
                connections.join_next().await;
            }
        }
        let (stream, _) = listener.accept().await?;
        connections.spawn(
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)),
        );
    }
}
