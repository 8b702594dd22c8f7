//! As many requests as go: runs `wrk` and reads its own exact numbers.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use super::client::Target;
use super::errors::Errors;
use super::plan::{CONNECTIONS, THREADS};
use super::site::HOST;

/// Its report rounds everything; this runs once at its end.
const SCRIPT: &str = r#"
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("figures %d %d %d %d %d %d %d %d\n", summary.requests, summary.bytes,
    summary.duration, e.connect, e.read, e.write, e.status, e.timeout))
end
"#;
/// More than any of the servers writes before a body.
const MAX_HEAD: u64 = 600;

/// What came of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// Whole answers.
    pub(crate) answered: u64,
    /// Answers a second.
    pub(crate) rate: f64,
    /// What failed.
    pub(crate) errors: Errors,
}

/// Asks for `seconds`, over kept connections or over a new one for each request.
pub(crate) fn run(
    target: &Target,
    is_kept: bool,
    seconds: u64,
    directory: &Path,
) -> anyhow::Result<Outcome> {
    let script = directory.join("wrk.lua");
    fs::write(&script, SCRIPT)?;
    let scheme = if target.tls.is_some() { "https" } else { "http" };
    let mut command = Command::new("wrk");
    command
        .args([format!("-t{THREADS}"), format!("-c{CONNECTIONS}"), format!("-d{seconds}s")])
        .args(["--timeout", "2s", "-s"])
        .arg(&script);
    if !is_kept {
        command.args(["-H", "Connection: close"]);
    }
    command.arg(format!("{scheme}://{HOST}:{}{}", target.address.port(), target.page.path));
    let output = command.output().context("cannot run wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("figures "));
    let Some(line) = line else {
        bail!("wrk fails: {text}{}", String::from_utf8_lossy(&output.stderr))
    };
    parse(line, target.page.size as u64).with_context(|| format!("wrk's figures {line:?}"))
}

fn parse(line: &str, size: u64) -> anyhow::Result<Outcome> {
    let numbers = line.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    let [answered, bytes, micros, connect, read, write, status, timeout] = numbers[..] else {
        bail!("not eight");
    };
    // It counts bytes, not each answer's length: all together must be what the answers are long. Of
    // the last answer of each connection any part may have come.
    let most = (answered + CONNECTIONS as u64) * (size + MAX_HEAD);
    let is_whole = (answered * size..=most).contains(&bytes);
    let errors = Errors {
        connect,
        broken: read + write,
        timeout,
        status,
        // A page of an error is of another length, and is counted already.
        size: u64::from(!is_whole && status == 0),
    };
    Ok(Outcome { answered, rate: answered as f64 / (micros as f64 / 1e6), errors })
}
