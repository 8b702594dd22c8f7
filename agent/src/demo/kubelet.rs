//! The demo's kubelet: starts each pod's process in its cgroup, starts it again when it ends, and tells
//! the API server, as the real one does.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use futures::future::select_all;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use super::plan::{self, Ended, Plan, State};
use super::tree::{self, Tree};
use crate::apiserver::ApiServer;
use crate::cli::Job;

/// Between the end of a container and the next one; the real kubelet waits longer each time.
const BACKOFF: Duration = Duration::from_secs(1);
/// A process that has not said its port by then never will.
const SPEAKS_WITHIN: Duration = Duration::from_secs(10);

/// Runs the pods.
pub struct Kubelet<'a> {
    server: &'a ApiServer,
    /// `None` where no cgroups may be made: then no process runs either.
    tree: Option<&'a Tree>,
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
    pub port: Option<u16>,
}

struct Pod {
    plan: Plan,
    state: State,
    child: Option<Child>,
}

impl<'a> Kubelet<'a> {
    /// Of a node without pods.
    #[must_use]
    pub fn new(server: &'a ApiServer, tree: Option<&'a Tree>) -> Self {
        Self { server, tree, pods: Vec::new() }
    }

    /// Registers the node and starts every pod.
    ///
    /// # Errors
    /// When a process cannot be started or put into its cgroup.
    pub async fn start(&mut self) -> anyhow::Result<Vec<Started>> {
        let info = rustix::system::sysinfo();
        let memory = u64::from(info.mem_unit) * info.totalram;
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        self.server.apply(plan::node(cpus, memory));
        let mut started = Vec::new();
        for (at, plan) in plan::plans().into_iter().enumerate() {
            let state = State {
                uid: tree::uuid(),
                ip: format!("10.244.0.{}", at + 10),
                created: now(),
                running: None,
                restarts: 0,
                last: None,
            };
            let mut pod = Pod { plan, state, child: None };
            let port = self.run_container(&mut pod).await?;
            started.push(Started { name: pod.plan.name(), remark: pod.plan.remark, port });
            self.pods.push(pod);
        }
        Ok(started)
    }

    /// Starts again what ends, for ever.
    ///
    /// Gives the error that ended it: a container that cannot be started again.
    pub async fn run(&mut self) -> anyhow::Error {
        loop {
            let (at, status) = next_end(&mut self.pods).await;
            let mut pod = self.pods.remove(at);
            self.ended(&mut pod, status);
            tokio::time::sleep(BACKOFF).await;
            if let Err(error) = self.run_container(&mut pod).await {
                return error.context(format!("cannot start {} again", pod.plan.name()));
            }
            self.pods.insert(at, pod);
        }
    }

    /// Ends every process and waits until it has ended.
    pub async fn stop(mut self) {
        let children = self.pods.iter_mut().filter_map(|pod| pod.child.as_mut());
        // An error means that it has ended already.
        futures::future::join_all(children.map(Child::kill)).await;
    }

    /// Starts the pod's container under a new id and tells the API server. Gives its port, if it has one.
    async fn run_container(&self, pod: &mut Pod) -> anyhow::Result<Option<u16>> {
        let id = tree::container_id();
        let mut port = None;
        if let Some(tree) = self.tree {
            let parent = pod.directory();
            if pod.state.restarts == 0 {
                let cgroup = tree.cgroup(&parent)?;
                // The kubelet gives the pod the sum of the CPU limits too. Then either level may run out first,
                // and with one container that level says nothing more: here the container's own counts it.
                tree::limit(&cgroup, pod.plan.requests.0, (0, pod.plan.limits.1))?;
                // What a pause process keeps in a real pod: without limits, and without a status of its own.
                tree.cgroup(&format!("{parent}/{}", tree::container_id()))?;
            }
            let cgroup = tree.cgroup(&format!("{parent}/{id}"))?;
            tree::limit(&cgroup, pod.plan.requests.0, pod.plan.limits)?;
            let mut child = spawn(&pod.plan.job)?;
            tree::enter(&cgroup, child.id().context("the process ended at once")?)?;
            port = released(&mut child, &pod.plan.job).await?;
            pod.child = Some(child);
        }
        pod.state.running = Some((id, now()));
        self.server.apply(plan::pod(&pod.plan, &pod.state));
        Ok(port)
    }

    /// Takes note of a container's end and removes its cgroup.
    fn ended(&self, pod: &mut Pod, status: ExitStatus) {
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
        self.server.apply(plan::pod(&pod.plan, &pod.state));
        if let Some(tree) = self.tree {
            tree.remove(&path);
        }
    }
}

impl Pod {
    /// Its cgroup below the subtree, as the kubelet's cgroupfs driver names it.
    fn directory(&self) -> String {
        format!("{}/pod{}", self.plan.parent(), self.state.uid)
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
fn spawn(job: &Job) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(program);
    command.arg("demo-worker").args(arguments(job));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    command.spawn().context("cannot start a process of the demo")
}

/// Lets the process begin, now that it is in its cgroup, and waits for its port if it has one.
async fn released(child: &mut Child, job: &Job) -> anyhow::Result<Option<u16>> {
    let mut stdin = child.stdin.take().context("no pipe to the process")?;
    stdin.write_all(b"go\n").await.context("a process of the demo ended at once")?;
    if !matches!(job, Job::Http { .. }) {
        return Ok(None);
    }
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().context("no pipe from the process")?);
    let read = tokio::time::timeout(SPEAKS_WITHIN, stdout.read_line(&mut line)).await;
    read.context("the HTTP app of the demo does not start")?
        .context("cannot read the port of the HTTP app")?;
    Ok(Some(line.trim().parse().context("the HTTP app of the demo gave no port")?))
}

/// The job as `demo-worker` reads it.
fn arguments(job: &Job) -> Vec<String> {
    let text = match job {
        Job::Burn { cores, hold } => format!("burn --cores {cores} --hold {hold}"),
        Job::Drift { from, step } => format!("drift --from {from} --step {step}"),
        Job::Http { delay, hold } => format!("http --delay {delay} --hold {hold}"),
    };
    text.split(' ').map(str::to_owned).collect()
}

/// As the API writes times.
fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

#[cfg(test)]
mod tests {
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

    #[tokio::test]
    async fn without_cgroups_the_pods_are_there_and_nothing_runs() {
        let server = ApiServer::start().await.unwrap();
        let mut kubelet = Kubelet::new(&server, None);
        let started = kubelet.start().await.unwrap();
        assert_eq!(started.len(), plan::plans().len());
        assert!(kubelet.pods.iter().all(|pod| pod.child.is_none() && pod.state.running.is_some()));
    }
}
