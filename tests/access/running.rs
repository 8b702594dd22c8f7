//! The real binary, and the API server that it asks.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use agent::apiserver::{ApiServer, Options, Right};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::authority::{Ca, Pair};
use crate::client::{Client, NAME, Reply, bearer};
use crate::page::Page;

/// Far more than anything here needs, so that only a hang reaches it.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// Between two questions about the same thing.
const AGAIN: Duration = Duration::from_millis(50);
/// The agent's own token; what the API server asks of it.
pub(crate) const OWN_TOKEN: &str = "own-s3cret-of-the-agent";
/// Where the agent looks for the right to its metrics.
const NAMESPACE: &str = "meters";

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

/// An API server with the node n1.
pub(crate) struct Cluster {
    runtime: Runtime,
    pub(crate) server: ApiServer,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let options = Options { token: Some(OWN_TOKEN.to_owned()), ..Options::default() };
        let server = runtime.block_on(ApiServer::start_with(options)).unwrap();
        server.apply(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}));
        Self { runtime, server }
    }

    /// A user with this token, who may read this path.
    pub(crate) fn reader(&self, token: &str, user: &str, path: &str) {
        self.server.know(token, user);
        self.server.allow(user, Right::Path(path.to_owned()));
    }

    /// The right to the metrics in a namespace, as a Role would give it.
    pub(crate) fn metrics(namespace: Option<&str>) -> Right {
        Right::Resource {
            group: "podmeter.io".to_owned(),
            resource: "metrics".to_owned(),
            namespace: namespace.unwrap_or(NAMESPACE).to_owned(),
        }
    }

    pub(crate) fn stop(&mut self) {
        self.runtime.block_on(self.server.stop());
    }

    pub(crate) fn restart(&mut self) {
        self.runtime.block_on(self.server.restart()).unwrap();
    }
}

/// A directory with all that a launch reads.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(place.path("cgroup/memory")).unwrap();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts a file there, as a whole.
    pub(crate) fn put(&self, name: &str, text: &str) {
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    /// A certificate of the agent, in the files that [`TLS`] names.
    pub(crate) fn certify(&self, ca: &Ca) {
        let Pair { chain, key } = ca.host(&[NAME]);
        self.put("tls.key", &key);
        self.put("tls.crt", &chain);
    }

    /// The binary with none of this machine's variables.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_podmeter"));
        command.args(arguments).env_clear().env("POD_NAMESPACE", NAMESPACE);
        command.current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    /// The arguments that every launch has, with this configuration; without a cluster standalone.
    pub(crate) fn launch(&self, cluster: Option<&Cluster>, config: &str) -> Vec<String> {
        self.put("podmeter.yaml", config);
        let way = match cluster {
            Some(cluster) => {
                self.put("kubeconfig", &cluster.server.kubeconfig());
                "--kubeconfig=kubeconfig"
            }
            None => "--standalone",
        };
        let root = format!("--cgroup-root={}", self.path("cgroup").display());
        let fixed = ["--config=podmeter.yaml", "--node=n1", "--listen=127.0.0.1:0", &root, way];
        fixed.map(str::to_owned).into()
    }

    /// What a command prints and ends with.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }
}

/// The lines of a configuration with TLS by the files of [`Place::certify`].
pub(crate) const TLS: &str = "tls:\n  certificate: tls.crt\n  key: tls.key\n";

/// A running agent; ended when dropped.
pub(crate) struct Agent {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    pub(crate) place: Place,
}

impl Agent {
    /// One that asks this cluster, once it listens.
    pub(crate) fn asking(cluster: &Cluster, config: &str) -> Self {
        Self::start(Place::new(), Some(cluster), config, "info")
    }

    pub(crate) fn start(
        place: Place,
        cluster: Option<&Cluster>,
        config: &str,
        filter: &str,
    ) -> Self {
        let mut child = place
            .command(&["run", "--log-format=json", "--log", filter])
            .args(place.launch(cluster, config))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
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
        Self { child, address, log, place }
    }

    /// One that can be scraped with this token.
    pub(crate) fn ready(self, token: &str) -> Self {
        until("the first page", || Some(self.get("/metrics", token)).filter(|it| it.status == 200));
        self
    }

    /// The answer to a plain request with this token, or with none.
    pub(crate) fn get(&self, path: &str, token: &str) -> Reply {
        let header = if token.is_empty() { String::new() } else { bearer(token) };
        self.with(path, &header)
    }

    /// The answer to a plain request with these header lines.
    pub(crate) fn with(&self, path: &str, headers: &str) -> Reply {
        Client::connect(self.address).unwrap().get(path, headers).unwrap()
    }

    /// Its series.
    pub(crate) fn scrape(&self, token: &str) -> Page {
        let reply = self.get("/metrics", token);
        assert_eq!(reply.status, 200, "{reply:?}");
        Page::parse(&reply.body)
    }

    /// All that it logged.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// How many lines of its log have these words.
    pub(crate) fn said(&self, words: &str) -> usize {
        self.log.lock().unwrap().iter().filter(|line| line.contains(words)).count()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = self.log.lock().unwrap();
            eprintln!("its log: {:#?}", &log[..log.len().min(200)]);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number of refusals for a reason.
pub(crate) fn refusals(page: &Page, reason: &str) -> f64 {
    page.value("podmeter_access_refusals_total", &[("reason", reason)]).unwrap()
}

/// The number of reviews that came to this.
pub(crate) fn reviews(page: &Page, outcome: &str) -> f64 {
    page.value("podmeter_access_reviews_total", &[("outcome", outcome)]).unwrap()
}

/// Waits until a page, which may be a second old, counts so many, and fails when it counts more.
pub(crate) fn counts(expected: f64, count: impl Fn() -> f64) {
    let counted = until("the count", || Some(count()).filter(|found| *found >= expected));
    assert!(counted <= expected, "{counted} instead of {expected}");
}
