//! System calls a request: `strace` counts them, for every proxy, at a rate that it does not hold up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

use super::paced::{self, Pace};
use super::setup::{Contender, DIRECT, Setup};
use super::site::SMALL;

/// A tracer halts the traced at every call: at a high rate it would be measured itself.
const PACE: Pace =
    Pace { rate: 500.0, connections: 16, warm: Duration::ZERO, length: Duration::from_secs(2) };
/// Calls that are rarer, one in so many requests, are left out.
const RARE: f64 = 0.02;

/// By name, a request's share.
type Calls = BTreeMap<String, f64>;

/// The table, or in one line why there is none.
pub(crate) fn run(setup: &Setup) -> anyhow::Result<String> {
    let mut all: Vec<(&str, Calls)> = Vec::new();
    for contender in setup.contenders.iter().filter(|contender| contender.name != DIRECT) {
        match count(setup, contender)? {
            Ok(calls) => all.push((contender.name, calls)),
            Err(obstacle) => return Ok(format!("No system calls are counted: {obstacle}\n")),
        }
    }
    let names: BTreeSet<&String> = all
        .iter()
        .flat_map(|(_, calls)| calls)
        .filter_map(|(name, share)| (*share >= RARE).then_some(name))
        .collect();
    let heads: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    let mut text = format!(
        "System calls a request, 1 KiB, plain, {} requests/s (strace):\n\n| Call | {} |\n|---|{}\n",
        PACE.rate,
        heads.join(" | "),
        "---|".repeat(heads.len())
    );
    let line = |text: &mut String, name: &str, of: &dyn Fn(&Calls) -> f64| {
        let cells: Vec<String> = all.iter().map(|(_, calls)| format!("{:.2}", of(calls))).collect();
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    };
    for name in names {
        line(&mut text, &format!("`{name}`"), &|calls| {
            calls.get(name).copied().unwrap_or_default()
        });
    }
    line(&mut text, "all", &|calls| calls.values().sum());
    Ok(text)
}

fn count(setup: &Setup, contender: &Contender) -> anyhow::Result<Result<Calls, String>> {
    let process = contender.process.as_ref().context("the floor is not traced")?;
    let file = setup.directory().join("strace");
    let mut tracer = Command::new("strace");
    tracer.args(["-c", "-f", "-qq", "-o"]).arg(&file);
    for pid in process.members()? {
        tracer.args(["-p", &pid.to_string()]);
    }
    let tracer = tracer.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let tracer = match tracer {
        Ok(child) => child,
        Err(error) => return Ok(Err(format!("strace cannot be run: {error}"))),
    };
    // Until it has taken hold of every thread.
    std::thread::sleep(Duration::from_millis(500));
    let outcome = paced::run(&setup.targets(contender, false, SMALL), &PACE);
    let _ = kill_process(Pid::from_child(&tracer), Signal::INT);
    let said = tracer.wait_with_output()?.stderr;
    let outcome = outcome?;
    contender.count(outcome.answered + PACE.connections as u64);
    let calls = parse(&fs::read_to_string(&file).unwrap_or_default(), outcome.answered as f64);
    let said = String::from_utf8_lossy(&said);
    Ok(if calls.is_empty() {
        Err(said.lines().next().unwrap_or("strace saw none").to_owned())
    } else {
        Ok(calls)
    })
}

/// Its summary: percent, seconds, µs a call, calls, errors if any, name.
fn parse(text: &str, requests: f64) -> Calls {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let name = *fields.last()?;
        let calls: f64 = fields.get(3)?.parse().ok()?;
        (name != "total").then(|| (name.to_owned(), calls / requests))
    };
    text.lines().filter_map(line).collect()
}
