//! The real binary beside its peers: what it uses in a minute of its usual work, and what a scrape takes.
//!
//! Case: 110 pods from an API server of our own, their cgroups on this machine, an interval of 10 s.
//! Budget: 0.1 % of a core, 24 MiB resident. Every program has cgroups of its own, so that the kernel
//! itself tells its CPU time, to the nanosecond, and the kernel memory charged to it.

use std::fs;
use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use agent::apiserver::ApiServer;
use anyhow::{Context, bail};

use super::groups::{Beside, Groups};
use super::peers::PEERS;
use super::pods;
use super::table::{Row, Table, millis};

const PODS: usize = 110;
/// How long CPU time is counted for.
const WINDOW: Duration = Duration::from_secs(60);
/// Scrapes after it, each far enough from the one before to get a tick of its own.
const SCRAPES: usize = 20;
const SPACING: Duration = Duration::from_millis(1100);
/// Percent of a core.
const GOAL_CPU: f64 = 0.1;
/// MiB resident.
const GOAL_RESIDENT: f64 = 24.0;

/// What Prometheus asks for.
const ACCEPT: &str =
    "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3";

/// A program under measurement.
struct Subject {
    name: &'static str,
    scope: &'static str,
    child: Child,
    cgroup: Beside,
    port: u16,
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The minute and the scrapes.
pub(crate) fn run(table: &mut Table) -> anyhow::Result<()> {
    eprintln!("binary: {PODS} pods");
    let groups = Groups::new(PODS)?;
    let directory = tempfile::tempdir()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let server = runtime.block_on(ApiServer::start())?;
    server.apply(pods::node());
    (0..PODS).for_each(|number| server.apply(pods::object(number)));

    let mut subjects = vec![podmeter(&groups, &server, directory.path())?];
    for peer in &PEERS {
        let Some(path) = peer.path() else {
            table.add(Row {
                case: peer.name.to_owned(),
                result: "skipped: run benches/peers first".to_owned(),
                ..Row::default()
            });
            continue;
        };
        let (port, cgroup) = (free_port()?, groups.beside(peer.name)?);
        let mut command = cgroup.command(&path);
        command.args(peer.arguments(port, groups.subtree()));
        subjects.push(Subject::start(peer.name, peer.scope, command, cgroup, port)?);
    }
    subjects.iter().try_for_each(Subject::wait)?;
    // The second tick makes the last buffers and the first rates.
    std::thread::sleep(Duration::from_secs(22));
    measure(table, &subjects)
}

fn podmeter(groups: &Groups, server: &ApiServer, directory: &Path) -> anyhow::Result<Subject> {
    let (kubeconfig, config) = (directory.join("kubeconfig"), directory.join("podmeter.yaml"));
    fs::write(&kubeconfig, server.kubeconfig())?;
    let (port, cgroup) = (free_port()?, groups.beside("podmeter")?);
    let text = format!(
        "node: {}\ninterval: 10s\nlisten: [\"127.0.0.1:{port}\"]\ncgroup: {{subtree: {}}}\nkubernetes: {{kubeconfig: {}}}\n",
        pods::NODE,
        groups.subtree(),
        kubeconfig.display(),
    );
    fs::write(&config, text)?;
    let mut command = cgroup.command(Path::new(env!("CARGO_BIN_EXE_podmeter")));
    command.arg("run").arg("--config").arg(&config);
    Subject::start("podmeter", "", command, cgroup, port)
}

impl Subject {
    fn start(
        name: &'static str,
        scope: &'static str,
        mut command: std::process::Command,
        cgroup: Beside,
        port: u16,
    ) -> anyhow::Result<Self> {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { name, scope, child, cgroup, port })
    }

    /// Until it listens and, if it says so, is ready.
    fn wait(&self) -> anyhow::Result<()> {
        let path = if self.scope.is_empty() { "/readyz" } else { "/" };
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if get(self.port, path, "").is_ok_and(|answer| answer.is_good) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("{} is not ready after 30 s", self.name)
    }

    /// CPU seconds so far.
    fn cpu(&self) -> anyhow::Result<f64> {
        Ok(self.cgroup.number("cpuacct", "cpuacct.usage")? as f64 / 1e9)
    }

    /// MiB resident.
    fn resident(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.split_whitespace().next().context("no number")?.parse()?;
        Ok(kib / 1024.0)
    }

    /// MiB of kernel memory charged to it, where the kernel tells.
    fn kernel(&self) -> Option<f64> {
        let bytes = self.cgroup.number("memory", "memory.kmem.usage_in_bytes").ok()?;
        Some(bytes as f64 / 1024.0 / 1024.0)
    }
}

/// What is known of a subject before the scrapes.
struct Idle {
    percent: f64,
    resident: f64,
    kernel: Option<f64>,
    cpu: f64,
}

fn measure(table: &mut Table, subjects: &[Subject]) -> anyhow::Result<()> {
    let start = Instant::now();
    let before = subjects.iter().map(Subject::cpu).collect::<Result<Vec<_>, _>>()?;
    std::thread::sleep(WINDOW);
    let mut idle = Vec::new();
    for (subject, before) in subjects.iter().zip(before) {
        let cpu = subject.cpu()?;
        let percent = (cpu - before) / start.elapsed().as_secs_f64() * 100.0;
        idle.push(Idle { percent, resident: subject.resident()?, kernel: subject.kernel(), cpu });
    }
    let mut fresh = vec![Vec::new(); subjects.len()];
    for _ in 0..SCRAPES {
        std::thread::sleep(SPACING);
        for (subject, times) in subjects.iter().zip(&mut fresh) {
            times.push(get(subject.port, "/metrics", "gzip")?.seconds);
        }
    }
    for ((subject, idle), times) in subjects.iter().zip(&idle).zip(&mut fresh) {
        rows(table, subject, idle, times)?;
    }
    Ok(())
}

fn rows(
    table: &mut Table,
    subject: &Subject,
    idle: &Idle,
    times: &mut [f64],
) -> anyhow::Result<()> {
    let is_ours = subject.scope.is_empty();
    let (after, scraped) = (subject.resident()?, subject.cpu()? - idle.cpu);
    times.sort_by(f64::total_cmp);
    let repeated = (0..5)
        .map(|_| Ok(get(subject.port, "/metrics", "gzip")?.seconds))
        .collect::<anyhow::Result<Vec<f64>>>()?;
    let plain = get(subject.port, "/metrics", "identity")?;
    let series =
        plain.text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    let goal = |text: String, is_met: bool| is_ours.then_some((text, is_met));
    table.add(Row {
        case: format!("{}: CPU of a core, unscraped, {} s", subject.name, WINDOW.as_secs()),
        result: format!("{:.3} %", idle.percent),
        goal: goal(format!("< {GOAL_CPU} %"), idle.percent < GOAL_CPU),
        notes: subject.scope.to_owned(),
        ..Row::default()
    });
    table.add(Row {
        case: format!("{}: resident, before and after {SCRAPES} scrapes", subject.name),
        result: format!("{:.1} MiB, {after:.1} MiB", idle.resident),
        goal: goal(format!("≤ {GOAL_RESIDENT} MiB"), idle.resident.max(after) <= GOAL_RESIDENT),
        notes: idle
            .kernel
            .map(|mib| format!("and {mib:.1} MiB of kernel memory charged to it"))
            .unwrap_or_default(),
        ..Row::default()
    });
    table.add(Row {
        case: format!("{}: a scrape through the socket, gzip", subject.name),
        result: format!(
            "{} (max {})",
            millis(times[times.len() / 2]),
            millis(times[times.len() - 1])
        ),
        notes: format!(
            "wall clock, each after {} s; again at once {}; {} CPU a scrape; {series} lines, {} KiB plain",
            SPACING.as_secs_f64(),
            millis(repeated.iter().copied().fold(f64::INFINITY, f64::min)),
            millis(scraped / SCRAPES as f64),
            plain.text.len() / 1024,
        ),
        ..Row::default()
    });
    Ok(())
}

/// An answer to a GET.
struct Answer {
    seconds: f64,
    is_good: bool,
    text: String,
}

fn get(port: u16, path: &str, encoding: &str) -> anyhow::Result<Answer> {
    let start = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {ACCEPT}\r\nAccept-Encoding: {encoding}\r\nConnection: close\r\n\r\n"
    )?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(Answer {
        seconds: start.elapsed().as_secs_f64(),
        is_good: bytes.starts_with(b"HTTP/1.1 200") || bytes.starts_with(b"HTTP/1.1 307"),
        text: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
