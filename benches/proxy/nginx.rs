//! nginx, twice: the two backends, and the proxy that the others are measured by.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::plan::{CONNECTIONS, THREADS};
use super::site::{Certificate, LARGE, SMALL, Site};

/// A server of files, with one process.
pub(crate) fn backend(
    directory: &Path,
    certificate: &Certificate,
    plain: SocketAddr,
    tls: SocketAddr,
) -> anyhow::Result<Command> {
    for page in [SMALL, LARGE] {
        fs::write(directory.join(page.path.trim_start_matches('/')), page.body())?;
    }
    let server = format!(
        "sendfile on; tcp_nopush on; open_file_cache max=10 inactive=1h; open_file_cache_valid 1h;
         server {{
             listen {plain} backlog=4096; listen {tls} ssl backlog=4096;
             {}
             root {};
         }}",
        tls_lines(certificate),
        directory.display()
    );
    command(directory, 1, &server)
}

/// Tells the backends of the client what Podmeter tells them.
const FORWARDED: &str = "proxy_set_header Host $http_host; proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Port $server_port;";

/// The proxy, set up as somebody would who wants it fast.
pub(crate) fn proxy(site: &Site<'_>) -> anyhow::Result<Command> {
    let [one, two] = site.backends;
    // The buffers hold the largest answer, so that none is written to a file for a slow client.
    let server = format!(
        "upstream app {{
             server {one}; server {two};
             keepalive {CONNECTIONS}; keepalive_requests 1000000000; keepalive_timeout 300s;
         }}
         server {{
             listen {} backlog=4096 reuseport; listen {} ssl backlog=4096 reuseport;
             {}
             location / {{
                 proxy_pass http://app;
                 proxy_http_version 1.1;
                 proxy_set_header Connection \"\";
                 {FORWARDED}
                 proxy_buffer_size 16k; proxy_buffers 8 16k; proxy_max_temp_file_size 0;
             }}
         }}",
        site.plain,
        site.tls,
        tls_lines(site.certificate)
    );
    command(site.directory, THREADS, &server)
}

fn tls_lines(certificate: &Certificate) -> String {
    format!(
        "ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.3;",
        certificate.chain.display(),
        certificate.key.display()
    )
}

fn command(directory: &Path, workers: usize, http: &str) -> anyhow::Result<Command> {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {}/{name};", directory.display()))
        .join(" ");
    // Workers that gave up their rights could not read the temporary folder.
    let user = if rustix::process::geteuid().is_root() { "user root root;" } else { "" };
    let text = format!(
        "daemon off; pid {}/pid; error_log stderr error; worker_processes {workers}; {user}
         events {{ worker_connections 8192; }}
         http {{
             access_log off; default_type text/plain;
             keepalive_requests 1000000000; keepalive_timeout 300s;
             client_header_timeout 300s; send_timeout 300s;
             {temporary}
             {http}
         }}\n",
        directory.display()
    );
    let path = directory.join("nginx.conf");
    fs::write(&path, text)?;
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr"]).arg("-p").arg(directory).arg("-c").arg(&path);
    Ok(command)
}
