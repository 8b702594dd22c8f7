//! Proves the generator of `paced` before its figures are believed.
//!
//! A server that answers at once, save for half a second in which it answers nothing. Of two seconds' requests
//! a quarter is due in that half second, and they are late by anything from half a second down to nothing:
//! the slowest tenth by 300 ms and more. A generator that asks only after an answer would have had one late
//! answer a connection, 16 of some 2,000, and shown a tenth percentile of nothing at all.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::client::Target;
use super::paced::{self, Pace};
use super::site::SMALL;

const CONNECTIONS: usize = 16;
const LENGTH: Duration = Duration::from_secs(2);
const STALL: Duration = Duration::from_millis(500);
/// After the server's start; the connections are open long before.
const BEGIN: Duration = Duration::from_millis(800);
const RATE: f64 = 1000.0;

/// Fails unless the generator sees the stall as it was.
pub(crate) fn check() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let target = Target { address: listener.local_addr()?, tls: None, page: SMALL };
    let begin = Instant::now() + BEGIN;
    std::thread::Builder::new().name("stall".to_owned()).spawn(move || {
        for stream in listener.incoming().take(CONNECTIONS).flatten() {
            let serve = std::thread::Builder::new().spawn(move || serve(stream, begin));
            drop(serve);
        }
    })?;
    let pace = Pace { rate: RATE, connections: CONNECTIONS, warm: Duration::ZERO, length: LENGTH };
    let outcome = paced::run(&target, &pace)?;

    let [half, tenth, worst] = [500, 900, 1000].map(|parts| outcome.quantile(parts));
    eprintln!(
        "generator: a stall of {STALL:?} is seen as p50 {half:?}, p90 {tenth:?}, longest {worst:?}"
    );
    ensure!(outcome.errors.is_empty(), "the generator fails: {}", outcome.errors);
    ensure!(outcome.answered == 2000, "{} answers to 2000 requests", outcome.answered);
    let is_seen = half < STALL / 5
        && (STALL * 2 / 5..STALL * 4 / 5).contains(&tenth)
        && (STALL * 9 / 10..STALL * 3 / 2).contains(&worst);
    ensure!(is_seen, "the generator does not see a stall of {STALL:?}, or the machine is too busy");
    Ok(())
}

fn serve(mut stream: TcpStream, begin: Instant) -> std::io::Result<()> {
    let mut buffer = [0; 1024];
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", SMALL.size).into_bytes();
    answer.extend(SMALL.body());
    stream.set_nodelay(true)?;
    // A request is one write of a small client on this machine: it comes in one piece.
    while stream.read(&mut buffer)? > 0 {
        let now = Instant::now();
        if (begin..begin + STALL).contains(&now) {
            std::thread::sleep(begin + STALL - now);
        }
        stream.write_all(&answer)?;
    }
    Ok(())
}
