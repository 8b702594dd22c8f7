//! Podmeter as a proxy: `podmeter run` with a file, measuring every request of every endpoint as it always does.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use super::plan::THREADS;
use super::site::Site;

/// Names another binary than the one that was built with this benchmark; `none` leaves Podmeter out.
const BINARY: &str = "PODMETER_TEST_BIN";
/// The series that counts what the endpoints answered.
const MEASURED: &str = "http_client_request_duration_seconds_count";

/// Where the binary is; `None` if it is to be left out.
pub(crate) fn binary() -> Option<PathBuf> {
    match std::env::var_os(BINARY) {
        Some(path) if path == "none" => None,
        Some(path) => Some(path.into()),
        None => Some(env!("CARGO_BIN_EXE_podmeter").into()),
    }
}

/// The proxy; its series are at `metrics`.
pub(crate) fn proxy(site: &Site<'_>, metrics: SocketAddr) -> anyhow::Result<Option<Command>> {
    let Some(binary) = binary() else { return Ok(None) };
    let [one, two] = site.backends;
    let text = format!(
        "standalone: true
listen: [\"{metrics}\"]
proxy:
  listen: [\"{}\"]
  listen_tls: [\"{}\"]
  workers: {THREADS}
  drain: {{delay: 0s, timeout: 0s}}
  tls:
    certificates: [{{certificate: {}, key: {}}}]
  services:
    - name: app
      labels: {{app: shop, team: checkout}}
      endpoints: [{{address: \"{one}\"}}, {{address: \"{two}\"}}]
  routes:
    - name: all
      prefix: /
      backends: [{{service: app}}]
",
        site.plain,
        site.tls,
        site.certificate.chain.display(),
        site.certificate.key.display()
    );
    let path = site.directory.join("podmeter.yaml");
    fs::write(&path, text)?;
    let mut command = Command::new(binary);
    command.arg("run").arg("--config").arg(&path);
    Ok(Some(command))
}

/// How many answers its own series tell of, so that nobody need believe that it measured.
pub(crate) fn measured(metrics: SocketAddr) -> anyhow::Result<u64> {
    let mut stream = TcpStream::connect(metrics)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // HTTP/1.0, so that the text comes in one piece.
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: {metrics}\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text).context("cannot read Podmeter's /metrics")?;
    let counts = text.lines().filter(|line| line.starts_with(MEASURED));
    let numbers = counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    Ok(numbers.sum())
}
