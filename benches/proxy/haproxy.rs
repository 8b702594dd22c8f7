//! HAProxy as a proxy to compare with.

use std::fs;
use std::process::Command;

use super::plan::THREADS;
use super::site::Site;

/// The proxy, in one process with its threads.
pub(crate) fn proxy(site: &Site<'_>) -> anyhow::Result<Command> {
    let [one, two] = site.backends;
    let text = format!(
        "global
    nbthread {THREADS}
    maxconn 8192
    ssl-default-bind-options ssl-min-ver TLSv1.3

defaults
    mode http
    option http-keep-alive
    http-reuse always
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    timeout http-request 300s
    timeout http-keep-alive 300s

frontend clients
    bind {} backlog 4096
    bind {} backlog 4096 ssl crt {} alpn http/1.1
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Real-IP %[src]
    http-request set-header X-Forwarded-Proto http if !{{ ssl_fc }}
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Forwarded-Port %[dst_port]
    default_backend app

backend app
    balance roundrobin
    server one {one}
    server two {two}
",
        site.plain,
        site.tls,
        site.certificate.both.display()
    );
    let path = site.directory.join("haproxy.cfg");
    fs::write(&path, text)?;
    let mut command = Command::new("haproxy");
    // In the foreground, and without its leave to write to a terminal.
    command.args(["-db", "-q", "-f"]).arg(&path);
    Ok(command)
}
