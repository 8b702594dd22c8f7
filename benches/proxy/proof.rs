//! Proves the generator of `paced` before its figures are believed.
//!
//! The stall: a server that answers at once, save for half a second in which it answers nothing. Of two seconds'
//! requests a quarter is due in that half second, and they are late by anything from half a second down to nothing:
//! the slowest tenth by 300 ms and more. A generator that asks only after an answer would have had one late
//! answer a connection, 16 of some 2,000, and shown a p90 of nothing at all.
//!
//! The flaws: a server three of four of whose answers are no good, each in its own way.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::client::Target;
use super::errors::Errors;
use super::paced::{self, Outcome, Pace};
use super::site::SMALL;

const CONNECTIONS: usize = 16;
const RATE: f64 = 1000.0;
const LENGTH: Duration = Duration::from_secs(2);
const STALL: Duration = Duration::from_millis(500);
/// After the server's start; the connections are open long before.
const BEGIN: Duration = Duration::from_millis(800);

/// Fails unless the generator sees both as they are.
pub(crate) fn check() -> anyhow::Result<()> {
    stall()?;
    flaws()
}

fn stall() -> anyhow::Result<()> {
    let begin = Instant::now() + BEGIN;
    let outcome = pace(LENGTH, move |stream| {
        let now = Instant::now();
        if (begin..begin + STALL).contains(&now) {
            std::thread::sleep(begin + STALL - now);
        }
        stream.write_all(&answer("200 OK", SMALL.size))
    })?;
    let [half, tenth, worst] = [500, 900, 1000].map(|parts| outcome.quantile(parts));
    eprintln!(
        "generator: a stall of {STALL:?} is seen as p50 {half:.1?}, p90 {tenth:.1?}, longest {worst:.1?}"
    );
    ensure!(outcome.errors.is_empty(), "the generator fails: {}", outcome.errors);
    ensure!(outcome.answered == 2000, "{} answers to 2000 requests", outcome.answered);
    let is_seen = half < STALL / 5
        && (STALL * 2 / 5..STALL * 4 / 5).contains(&tenth)
        && (STALL * 9 / 10..STALL * 3 / 2).contains(&worst);
    ensure!(is_seen, "the generator does not see a stall of {STALL:?}, or the machine is too busy");
    Ok(())
}

fn flaws() -> anyhow::Result<()> {
    let asked = Arc::new(AtomicUsize::new(0));
    let outcome = pace(Duration::from_millis(200), move |stream| {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        match number % 4 {
            // Every connection has a good answer first.
            _ if number < CONNECTIONS => stream.write_all(&answer("200 OK", SMALL.size)),
            0 => stream.write_all(&answer("200 OK", SMALL.size)),
            1 => stream.write_all(&answer("503 Service Unavailable", SMALL.size)),
            2 => stream.write_all(&answer("200 OK", SMALL.size - 1)),
            _ => stream.shutdown(std::net::Shutdown::Both),
        }
    })?;
    let expected = Errors { broken: 50, status: 50, size: 50, ..Errors::default() };
    ensure!(outcome.errors == expected, "the generator miscounts failures: {}", outcome.errors);
    ensure!(outcome.answered == 50, "{} of 50 good answers", outcome.answered);
    Ok(())
}

/// Asks a server of which every answer is given by `answer`.
fn pace(
    length: Duration,
    answer: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
) -> anyhow::Result<Outcome> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let target = Target { address: listener.local_addr()?, tls: None, page: SMALL };
    let answer = Arc::new(answer);
    // It ends with this program; its connections end with the generator.
    std::thread::Builder::new().name("server".to_owned()).spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            let _ = std::thread::Builder::new().spawn(move || serve(stream, &*answer));
        }
    })?;
    let warm = Duration::ZERO;
    paced::run(&[target], &Pace { rate: RATE, connections: CONNECTIONS, warm, length })
}

fn serve(
    mut stream: TcpStream,
    answer: &impl Fn(&mut TcpStream) -> std::io::Result<()>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    // A request is one write of a small client on this machine: it comes in one piece.
    while stream.read(&mut [0; 1024])? > 0 {
        answer(&mut stream)?;
    }
    Ok(())
}

fn answer(status: &str, size: usize) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\nContent-Length: {size}\r\n\r\n").into_bytes();
    bytes.resize(bytes.len() + size, b'.');
    bytes
}
