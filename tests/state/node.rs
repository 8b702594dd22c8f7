//! A node with one container of one pod, and the agents that run there.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use agent::apiserver::ApiServer;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::page::Page;

const UID: &str = "0a1b2c3d-0000-4000-8000-0123456789ab";
/// Far more than anything here needs, so that only a hang reaches it.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two questions about the same thing.
const AGAIN: Duration = Duration::from_millis(20);

/// Asks until there is an answer.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        thread::sleep(AGAIN);
    }
}

/// The node: its API server, its cgroups and its state folder.
pub(crate) struct Node {
    _runtime: Runtime,
    pub(crate) server: ApiServer,
    files: TempDir,
}

impl Node {
    /// A node on which incarnation `a` runs.
    pub(crate) fn start() -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let server = runtime.block_on(ApiServer::start()).unwrap();
        server.apply(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}));
        let space = json!({"name": "shop", "labels": {"team": "tills"}});
        server.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": space}));
        let node = Self { _runtime: runtime, server, files: tempfile::tempdir().unwrap() };
        fs::write(node.path("kubeconfig"), node.server.kubeconfig()).unwrap();
        node.runs('a', None);
        node
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Puts an incarnation in the place of the one before, which ended for this reason.
    pub(crate) fn runs(&self, id: char, before: Option<(char, &str)>) {
        if let Some((before, _)) = before {
            fs::remove_dir_all(self.cgroup(before)).unwrap();
        }
        let id_of = |id: char| format!("containerd://{}", id.to_string().repeat(64));
        let last = before.map_or(Value::Null, |(before, reason)| {
            json!({"terminated": {"containerID": id_of(before), "reason": reason, "exitCode": 1}})
        });
        self.cgroup_with(id, 0);
        self.server.apply(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "cart", "namespace": "shop", "uid": UID, "labels": {"app": "cart"}},
            "spec": {"nodeName": "n1", "containers": [{"name": "main"}]},
            "status": {"phase": "Running", "containerStatuses": [{
                "name": "main", "containerID": id_of(id), "ready": true, "restartCount": 0,
                "state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}}, "lastState": last,
            }]},
        }));
    }

    /// What the kernel counts of an incarnation.
    pub(crate) fn cgroup_with(&self, id: char, kills: u64) {
        let directory = self.cgroup(id);
        fs::create_dir_all(&directory).unwrap();
        for path in directory.ancestors().take(5) {
            fs::write(path.join("cgroup.procs"), "").unwrap();
        }
        let control = format!("oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n");
        fs::write(directory.join("memory.oom_control"), control).unwrap();
        fs::write(directory.join("memory.usage_in_bytes"), "4096000\n").unwrap();
    }

    fn cgroup(&self, id: char) -> PathBuf {
        let id = id.to_string().repeat(64);
        self.path(&format!("cgroup/memory/kubepods/burstable/pod{UID}/{id}"))
    }

    /// Runs `podmeter` with these words and this configuration.
    pub(crate) fn command(&self, words: &[&str], config: &str) -> Command {
        fs::write(self.path("podmeter.yaml"), config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_podmeter"));
        command.args(words).args(["--config=podmeter.yaml", "--kubeconfig=kubeconfig"]);
        command.args(["--node=n1", "--listen=127.0.0.1:0", "--cgroup-root"]);
        command.arg(self.path("cgroup")).env_clear();
        command.current_dir(self.files.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn output(&self, words: &[&str], config: &str) -> Output {
        self.command(words, config).output().unwrap()
    }

    /// The configuration that keeps state in this folder of the node.
    pub(crate) fn keeping(&self, folder: &str) -> String {
        format!("interval: 1s\nstate: {{path: \"{}\"}}\n", self.path(folder).display())
    }

    /// An agent that keeps its state in the folder `state`, once it is ready.
    pub(crate) fn agent(&self) -> Agent {
        Agent::start(self.command(&["run", "--log-format=json"], &self.keeping("state")))
    }
}

/// A running agent; killed when dropped.
pub(crate) struct Agent {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Agent {
    /// Starts one and waits until it is ready.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let log = Arc::new(Mutex::new(Vec::new()));
        let kept = log.clone();
        thread::spawn(move || lines.for_each(|line| kept.lock().unwrap().push(line)));
        let address = until("its address", || {
            let log = log.lock().unwrap();
            assert_eq!(child.try_wait().unwrap(), None, "it ended: {log:#?}");
            let line = log.iter().find(|line| line.contains("\"listening\""))?;
            let (_, rest) = line.split_once("\"address\":\"")?;
            rest.split_once('"')?.0.parse().ok()
        });
        let agent = Self { child, address, log };
        until("ready", || agent.get("/readyz"));
        agent
    }

    /// The body of an answer of 200.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(LIMIT)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        head.lines().next()?.contains(" 200 ").then(|| body.to_owned())
    }

    pub(crate) fn scrape(&self) -> Page {
        Page::parse(&self.get("/metrics").unwrap())
    }

    /// Waits until so many kills are counted, and fails when there are more.
    pub(crate) fn counts(&self, kills: f64) -> Page {
        let page = until("the kills", || {
            Some(self.scrape()).filter(|page| self::kills(page).is_some_and(|now| now >= kills))
        });
        assert_eq!(self::kills(&page), Some(kills));
        page
    }

    /// Ends it by this signal and waits until it is gone.
    pub(crate) fn end(mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.success(), signal == Signal::TERM, "{status}");
    }

    /// The lines of its log that have these words.
    pub(crate) fn said(&self, words: &str) -> Vec<String> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|line| line.contains(words)).cloned().collect()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("its log: {:#?}", self.log.lock().unwrap());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The OOM kills of the container `main`, whatever its incarnation.
pub(crate) fn kills(page: &Page) -> Option<f64> {
    page.value("container_oom_events_total", &[("pod", "cart"), ("container", "main")])
}
