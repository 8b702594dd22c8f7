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
/// Ends the connection with its answer.
const CLOSE: &str = "Connection: close";

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
    let length = if is_kept {
        target.length("")?
    } else {
        command.args(["-H", CLOSE]);
        target.length(&format!("{CLOSE}\r\n"))?
    };
    command.arg(format!("{scheme}://{HOST}:{}{}", target.address.port(), target.page.path));
    let output = command.output().context("cannot run wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("figures "));
    let Some(line) = line else {
        bail!("wrk fails: {text}{}", String::from_utf8_lossy(&output.stderr))
    };
    parse(line, length).with_context(|| format!("wrk's figures {line:?}"))
}

fn parse(line: &str, length: u64) -> anyhow::Result<Outcome> {
    let numbers = line.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
    let [answered, bytes, micros, connect, read, write, status, timeout] = numbers[..] else {
        bail!("not eight");
    };
    // It adds up bytes and does not look at each answer's length. All are as long as the one that was
    // looked at, or the sum is not right; of the last answer of each connection any part may have come.
    let most = (answered + CONNECTIONS as u64) * length;
    let is_whole = (answered * length..=most).contains(&bytes);
    let errors = Errors {
        connect,
        broken: read + write,
        timeout,
        status,
        // With failures of another kind the sum says nothing; they are counted already.
        size: u64::from(!is_whole && connect + read + write + status + timeout == 0),
    };
    Ok(Outcome { answered, rate: answered as f64 / (micros as f64 / 1e6), errors })
}
