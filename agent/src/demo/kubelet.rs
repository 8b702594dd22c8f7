//! The demo's kubelet: starts each pod's process in its cgroup, starts it again when it ends, and tells
//! the API server, as the real one does. It tells of the pods' endpoints too, which is a controller's work in a
//! real cluster.

use std::net::{SocketAddr, SocketAddrV4};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use cgroups_rs::fs::Cgroup;
use futures::future::select_all;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use super::fronts;
use super::network::Network;
use super::objects::{self, Ended, State};
use super::plan::{self, FRONTS, Plan};
use super::tree::{self, Tree};
use crate::apiserver::ApiServer;
use crate::cli::Job;

/// Between the end of a container and the next one; the real kubelet waits longer each time.
const BACKOFF: Duration = Duration::from_secs(1);
/// A process that has not said by then that it listens never will.
const SPEAKS_WITHIN: Duration = Duration::from_secs(10);

/// Runs the pods.
pub struct Kubelet<'a> {
    server: &'a ApiServer,
    /// `None` where no cgroups may be made: then only HTTP apps run, since nothing would limit the others.
    tree: Option<&'a Tree>,
    network: &'a Network,
    /// What every process runs: this program.
    program: PathBuf,
    pods: Vec<Pod>,
}

/// What there is to say of a pod once it runs.
#[derive(Clone, Debug)]
pub struct Started {
    /// `metadata.name`.
    pub name: String,
    /// What there is to see.
    pub remark: Option<&'static str>,
    /// Where its HTTP app listens.
    pub address: Option<SocketAddr>,
}

struct Pod {
    plan: Plan,
    state: State,
    child: Option<Child>,
}

impl<'a> Kubelet<'a> {
    /// Of a node without pods, which runs `program` for each.
    #[must_use]
    pub fn new(
        server: &'a ApiServer,
        tree: Option<&'a Tree>,
        network: &'a Network,
        program: PathBuf,
    ) -> Self {
        Self { server, tree, network, program, pods: Vec::new() }
    }

    /// Registers the node, what leads to its pods, and starts every pod.
    ///
    /// # Errors
    /// When a process cannot be started or put into its cgroup.
    pub async fn start(&mut self) -> anyhow::Result<Vec<Started>> {
        let info = rustix::system::sysinfo();
        let memory = u64::from(info.mem_unit) * info.totalram;
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        self.server.apply(objects::node(cpus, memory));
        self.server.apply(fronts::class());
        for front in &FRONTS {
            self.server.apply(fronts::service(front));
            self.server.apply(fronts::ingress(front, &now()));
        }
        let mut started = Vec::new();
        for (number, plan) in (0..).zip(plan::plans()) {
            let state = State {
                uid: tree::uuid(),
                ip: self.network.pod(number),
                created: now(),
                running: None,
                restarts: 0,
                last: None,
            };
            let (name, remark) = (plan.name(), plan.remark);
            let at = self.pods.len();
            self.pods.push(Pod { plan, state, child: None });
            self.run_container(at).await?;
            started.push(Started { name, remark, address: self.address(at) });
        }
        Ok(started)
    }

    /// Starts again what ends, for ever.
    ///
    /// Gives the error that ended it: a container that cannot be started again.
    pub async fn run(&mut self) -> anyhow::Error {
        loop {
            let (at, status) = next_end(&mut self.pods).await;
            self.ended(at, status);
            tokio::time::sleep(BACKOFF).await;
            if let Err(error) = self.run_container(at).await {
                return error.context(format!("cannot start {} again", self.pods[at].plan.name()));
            }
        }
    }

    /// Ends every process and waits until it has ended.
    pub async fn stop(mut self) {
        let children = self.pods.iter_mut().filter_map(|pod| pod.child.as_mut());
        // An error means that it has ended already.
        futures::future::join_all(children.map(Child::kill)).await;
    }

    /// Starts the pod's container under a new id and tells the API server.
    async fn run_container(&mut self, at: usize) -> anyhow::Result<()> {
        let id = tree::container_id();
        let listen = self.address(at);
        let pod = &mut self.pods[at];
        let cgroup = self.tree.map(|tree| pod.cgroup(tree, &id)).transpose()?;
        if cgroup.is_some() || listen.is_some() {
            let mut child = spawn(&self.program, &pod.plan.job, listen)?;
            if let Some(cgroup) = &cgroup {
                tree::enter(cgroup, child.id().context("the process ended at once")?)?;
            }
            released(&mut child, listen).await?;
            pod.child = Some(child);
        }
        pod.state.running = Some((id, now()));
        self.tell(at);
        Ok(())
    }

    /// Takes note of a container's end and removes its cgroup.
    fn ended(&mut self, at: usize, status: ExitStatus) {
        let pod = &mut self.pods[at];
        pod.child = None;
        let Some((id, started)) = pod.state.running.take() else { return };
        let path = format!("{}/{id}", pod.directory());
        let oom = self.tree.is_some_and(|tree| tree.oom_kills(&path) > 0);
        let reason = match (oom, status.success()) {
            (true, _) => "OOMKilled",
            (false, true) => "Completed",
            (false, false) => "Error",
        };
        let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(255);
        pod.state.last = Some(Ended { id, reason, code, started, finished: now() });
        pod.state.restarts += 1;
        self.tell(at);
        if let Some(tree) = self.tree {
            tree.remove(&path);
        }
    }

    /// Tells the API server how a pod is doing, and which pods are behind its Service now.
    fn tell(&self, at: usize) {
        let pod = &self.pods[at];
        self.server.apply(objects::pod(&pod.plan, &pod.state));
        for front in FRONTS.iter().filter(|front| front.has(&pod.plan)) {
            let pods = self.pods.iter().map(|pod| (&pod.plan, &pod.state));
            self.server.apply(fronts::slice(front, self.network.port(), pods));
        }
    }

    /// Where the pod's HTTP app listens, if it has one.
    fn address(&self, at: usize) -> Option<SocketAddr> {
        let Pod { plan, state, .. } = &self.pods[at];
        matches!(plan.job, Job::Http { .. })
            .then(|| SocketAddr::V4(SocketAddrV4::new(state.ip, self.network.port())))
    }
}

impl Pod {
    /// Its cgroup below the subtree, as the kubelet's cgroupfs driver names it.
    fn directory(&self) -> String {
        format!("{}/pod{}", self.plan.parent(), self.state.uid)
    }

    /// Makes the cgroup of its next container, and before the first one that of the pod.
    fn cgroup(&self, tree: &Tree, id: &str) -> anyhow::Result<Cgroup> {
        let parent = self.directory();
        let (requests, limits) = (self.plan.requests.0, self.plan.limits);
        if self.state.restarts == 0 {
            let cgroup = tree.cgroup(&parent)?;
            // The kubelet gives the pod the sum of the CPU limits too. Then either level may run out first,
            // and with one container that level says nothing more: here the container's own counts it.
            tree::limit(&cgroup, requests, (0, limits.1))?;
            // What a pause process keeps in a real pod: without limits, and without a status of its own.
            tree.cgroup(&format!("{parent}/{}", tree::container_id()))?;
        }
        let cgroup = tree.cgroup(&format!("{parent}/{id}"))?;
        tree::limit(&cgroup, requests, limits)?;
        Ok(cgroup)
    }
}

/// Waits until one of the processes ends; which, and how.
async fn next_end(pods: &mut [Pod]) -> (usize, ExitStatus) {
    let ends = pods.iter_mut().map(|pod| {
        Box::pin(async {
            match &mut pod.child {
                Some(child) => child.wait().await.unwrap_or_default(),
                None => std::future::pending().await,
            }
        })
    });
    let (status, at, _) = select_all(ends).await;
    (at, status)
}

/// This program again, in its hidden role. It waits until [`released`].
fn spawn(program: &Path, job: &Job, listen: Option<SocketAddr>) -> anyhow::Result<Child> {
    let mut command = Command::new(program);
    command.arg("demo-worker");
    if let Some(address) = listen {
        command.arg("--listen").arg(address.to_string());
    }
    command.args(arguments(job));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().context("cannot start a process of the demo")
}

/// Lets the process begin, now that it is in its cgroup, and waits until it listens if it is to.
async fn released(child: &mut Child, listen: Option<SocketAddr>) -> anyhow::Result<()> {
    let mut stdin = child.stdin.take().context("no pipe to the process")?;
    stdin.write_all(b"go\n").await.context("a process of the demo ended at once")?;
    let Some(address) = listen else { return Ok(()) };
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().context("no pipe from the process")?);
    let read = tokio::time::timeout(SPEAKS_WITHIN, stdout.read_line(&mut line)).await;
    read.context("the HTTP app of the demo does not start")?
        .context("cannot hear from the HTTP app of the demo")?;
    if line.trim().parse() != Ok(address) {
        bail!("an HTTP app of the demo cannot listen on {address}; see ss -ltnp for what does");
    }
    Ok(())
}

/// The job as `demo-worker` reads it.
fn arguments(job: &Job) -> Vec<String> {
    let text = match job {
        Job::Burn { cores, hold } => format!("burn --cores {cores} --hold {hold}"),
        Job::Drift { from, step } => format!("drift --from {from} --step {step}"),
        Job::Http { delay, hold, errors } => {
            format!("http --delay {delay} --hold {hold} --errors {errors}")
        }
    };
    text.split(' ').map(str::to_owned).collect()
}

/// As the API writes times.
fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command as Cmd};

    #[test]
    fn every_job_survives_the_way_through_the_command_line() {
        for plan in plan::plans() {
            let arguments = ["podmeter", "demo-worker"]
                .into_iter()
                .map(str::to_owned)
                .chain(arguments(&plan.job));
            let Cmd::DemoWorker(worker) = Cli::parse_from(arguments).command else {
                panic!("another command")
            };
            assert_eq!(worker.job, plan.job);
        }
    }

    /// Says that it listens where it was told to, as the worker does.
    const WORKER: &str = "#!/bin/sh\nread -r go\necho \"$3\"\nexec sleep 600\n";
    /// Cannot listen.
    const BROKEN: &str = "#!/bin/sh\nread -r go\n";

    fn script(directory: &Path, name: &str, text: &str) -> PathBuf {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[tokio::test]
    async fn without_cgroups_http_apps_alone_run_and_one_that_cannot_listen_is_named() {
        let server = ApiServer::start().await.unwrap();
        let network = Network::claim().unwrap();
        // Both are written before any process starts, which could inherit a file that is still being written.
        let directory = tempfile::tempdir().unwrap();
        let worker = script(directory.path(), "worker", WORKER);
        let broken = script(directory.path(), "broken", BROKEN);

        let mut kubelet = Kubelet::new(&server, None, &network, worker);
        let started = kubelet.start().await.unwrap();
        assert_eq!(started.len(), plan::plans().len());
        for Pod { plan, state, child } in &kubelet.pods {
            let is_http = matches!(plan.job, Job::Http { .. });
            assert!(child.is_some() == is_http && state.running.is_some(), "{plan:?}");
        }
        kubelet.stop().await;

        let mut kubelet = Kubelet::new(&server, None, &network, broken);
        let text = kubelet.start().await.unwrap_err().to_string();
        assert!(text.contains("cannot listen on 127.10."), "{text}");
    }
}
