//! A running podmeter with its proxy, from a few lines of configuration.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::page::Page;
use crate::podmeter::{Agent, until};
use crate::program::{find, run};

/// What is served, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// Where the one service is.
    pub(crate) backends: Vec<SocketAddr>,
    /// Further lines of the service.
    pub(crate) service: &'static str,
    /// Further lines of `proxy`.
    pub(crate) proxy: &'static str,
    /// Whether there is a socket for TLS, with a certificate for `tools.test`.
    pub(crate) is_tls: bool,
}

/// It runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    agent: Agent,
    /// Where it speaks plain HTTP.
    pub(crate) plain: SocketAddr,
    /// Where it speaks TLS.
    secure: Option<SocketAddr>,
    folder: TempDir,
}

/// The name in the certificate.
pub(crate) const HOST: &str = "tools.test";

impl Settings {
    /// Everything goes to this address.
    pub(crate) fn to(backend: SocketAddr) -> Self {
        Self { backends: vec![backend], ..Self::default() }
    }

    /// Starts it, and waits until it serves.
    pub(crate) fn start(&self) -> Result<Proxy, String> {
        let folder = tempfile::tempdir().unwrap();
        if self.is_tls {
            make_certificate(&folder)?;
        }
        // Only the proxy is wanted: a hierarchy without a cgroup keeps the rest quiet.
        fs::create_dir_all(folder.path().join("cgroup/memory")).unwrap();
        let file = folder.path().join("podmeter.yaml");
        fs::write(&file, self.text(&folder)).unwrap();
        let file = file.to_str().unwrap();
        let agent = Agent::start(&["--standalone", "--interval", "1s", "--config", file]);
        let plain = told(&agent, false);
        let secure = self.is_tls.then(|| told(&agent, true));
        Ok(Proxy { agent, plain, secure, folder })
    }

    fn text(&self, folder: &TempDir) -> String {
        let mut text = format!(
            "node: tools\ncgroup: {{root: {}/cgroup}}\nproxy:\n  listen: [\"127.0.0.1:0\"]\n",
            folder.path().display()
        );
        if self.is_tls {
            let pem = folder.path().join("tools").display().to_string();
            let _ = writeln!(
                text,
                "  listen_tls: [\"127.0.0.1:0\"]\n  tls: {{certificates: [{{certificate: {pem}.crt, key: {pem}.key}}]}}"
            );
        }
        for line in self.proxy.lines() {
            let _ = writeln!(text, "  {}", line.trim());
        }
        if !self.proxy.contains("drain:") {
            text.push_str("  drain: {delay: 0s, timeout: 1s}\n");
        }
        let _ =
            writeln!(text, "  services:\n    - name: web\n      endpoints: {:?}", self.backends);
        for line in self.service.lines() {
            let _ = writeln!(text, "      {}", line.trim());
        }
        text.push_str("  routes:\n    - {name: web, backends: [web]}\n");
        text
    }
}

impl Proxy {
    /// Where it speaks TLS.
    pub(crate) fn secure(&self) -> SocketAddr {
        self.secure.expect("a socket for TLS was asked for")
    }

    /// The certificate that it shows, which is its own authority.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("tools.crt")
    }

    /// What it counts as of now.
    pub(crate) fn page(&self) -> Page {
        self.agent.fresh()
    }

    /// How many requests or connections it refused for this reason.
    pub(crate) fn refused(&self, reason: &str) -> f64 {
        sum(&self.page(), "podmeter_proxy_refused_total", &[("reason", reason)])
    }

    /// Waits until it has refused that many for this reason.
    pub(crate) fn has_refused(&self, reason: &str, least: f64) {
        let labels = [("reason", reason)];
        let _ = self.agent.page_with(&format!("{least} refused for {reason}"), |page| {
            sum(page, "podmeter_proxy_refused_total", &labels) >= least
        });
    }

    /// How many requests it answered with these labels, once none is under way any more.
    pub(crate) fn answered(&self, labels: &[(&str, &str)]) -> f64 {
        let page = until("no request is under way", || {
            let page = self.agent.fresh();
            (sum(&page, "http_server_active_requests", &[]) <= 0.0).then_some(page)
        });
        sum(&page, "http_server_request_duration_seconds_count", labels)
    }

    /// Its resident memory in MiB.
    pub(crate) fn memory(&self) -> f64 {
        sum(&self.page(), "process_resident_memory_bytes", &[]) / f64::from(1 << 20)
    }
}

/// The sum of the samples that fit.
pub(crate) fn sum(page: &Page, name: &str, labels: &[(&str, &str)]) -> f64 {
    page.samples(name, labels).map(|sample| sample.value).sum()
}

/// The address in the log.
fn told(agent: &Agent, is_tls: bool) -> SocketAddr {
    let tls = format!("\"tls\":{is_tls}");
    until("the proxy's address in the log", || {
        let log = agent.log();
        let line =
            log.iter().find(|line| line.contains("the proxy listens") && line.contains(&tls))?;
        let (_, rest) = line.split_once("\"proxy\":\"")?;
        rest.split_once('"')?.0.parse().ok()
    })
}

/// Makes one that is its own authority.
fn make_certificate(folder: &TempDir) -> Result<(), String> {
    let mut command = Command::new(find("openssl")?);
    command
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args([
            "-keyout",
            "tools.key",
            "-out",
            "tools.crt",
            "-days",
            "2",
            "-subj",
            "/CN=tools.test",
        ])
        .args(["-addext", "subjectAltName=DNS:tools.test,IP:127.0.0.1"])
        .current_dir(folder);
    run(&mut command, Duration::from_secs(30));
    Ok(())
}
