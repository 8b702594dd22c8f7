//! The cluster tool: one command that brings a real one-node Kubernetes up and down on this machine.
//!
//! Its own words are `up`, `down`, `status`, `env`, `image` and `kubectl`. Beyond those the suite relies on
//! one more thing it keeps: `<dir>/<service>.pid` for each process it started.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::cluster::wait;

/// Where the tool is when no variable says so, seen from the repository.
const BESIDE: &str = "../shared/cluster/cluster";

/// The tool and, once the cluster is up, the way to it.
pub(crate) struct Tool {
    script: PathBuf,
    /// The cluster's own.
    pub(crate) kubectl: PathBuf,
    /// The administrator's.
    pub(crate) kubeconfig: PathBuf,
    /// Where the cluster keeps its state.
    pub(crate) dir: PathBuf,
}

impl Tool {
    /// The tool, or why there is none.
    pub(crate) fn find() -> Result<Self, String> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let script = std::env::var_os("PODMETER_TEST_CLUSTER")
            .map_or_else(|| repository.join(BESIDE), PathBuf::from);
        if !script.is_file() {
            let script = script.display();
            return Err(format!("no cluster tool at {script}; name one in PODMETER_TEST_CLUSTER"));
        }
        if !rustix::process::geteuid().is_root() {
            return Err("needs root, to run a cluster and to read its cgroups".to_owned());
        }
        let out = Command::new(&script).arg("env").output().map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&out.stdout);
        let variables: BTreeMap<_, _> =
            text.split_whitespace().filter_map(|word| word.split_once('=')).collect();
        let path = |name| {
            variables.get(name).map(PathBuf::from).ok_or(format!("the tool names no {name}"))
        };
        let kubeconfig = path("KUBECONFIG")?;
        let dir = kubeconfig.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Self { kubectl: path("KUBECTL")?, script, kubeconfig, dir })
    }

    /// Whether a cluster answers.
    pub(crate) fn is_up(&self) -> bool {
        self.kubectl.is_file() && self.try_kubectl(&["get", "--raw", "/readyz"]).is_ok()
    }

    /// One of the tool's own words.
    pub(crate) fn run(&self, words: &[&str]) {
        let out = Command::new(&self.script).args(words).output().expect("the tool runs");
        assert!(out.status.success(), "cluster {}: {}", words.join(" "), complaint(&out));
    }

    /// What kubectl prints.
    pub(crate) fn kubectl(&self, words: &[&str]) -> String {
        self.try_kubectl(words)
            .unwrap_or_else(|error| panic!("kubectl {}: {error}", words.join(" ")))
    }

    /// What kubectl prints, or complains about.
    pub(crate) fn try_kubectl(&self, words: &[&str]) -> Result<String, String> {
        self.feed_kubectl(words, "")
    }

    /// An object as JSON, `None` when there is none.
    pub(crate) fn object(&self, words: &[&str]) -> Option<Value> {
        let mut all = vec!["get", "-o", "json", "--ignore-not-found"];
        all.extend(words);
        serde_json::from_str(&self.kubectl(&all)).ok()
    }

    /// Applies a manifest.
    pub(crate) fn apply(&self, namespace: &str, manifest: &str) {
        self.feed_kubectl(&["-n", namespace, "apply", "-f", "-"], manifest)
            .unwrap_or_else(|error| panic!("cannot apply: {error}"));
    }

    /// Puts an object in the place of what the API server has at this path, such as a status.
    pub(crate) fn replace(&self, path: &str, object: &Value) {
        self.feed_kubectl(&["replace", "--raw", path, "-f", "-"], &object.to_string())
            .unwrap_or_else(|error| panic!("cannot replace {path}: {error}"));
    }

    /// The same with something to read.
    pub(crate) fn feed_kubectl(&self, words: &[&str], input: &str) -> Result<String, String> {
        let mut child = Command::new(&self.kubectl)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        // A kubectl that does not read is seen by its exit code.
        let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
        let out = child.wait_with_output().map_err(|error| error.to_string())?;
        if out.status.success() {
            Ok(String::from_utf8_lossy(&out.stdout).into_owned())
        } else {
            Err(complaint(&out))
        }
    }

    /// The command line of a process of the cluster, such as `kubelet`.
    pub(crate) fn command(&self, service: &str) -> Vec<String> {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid(service))).expect("it runs");
        let words =
            line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned());
        words.filter(|word| !word.is_empty()).collect()
    }

    /// Ends a process of the cluster at once.
    pub(crate) fn kill(&self, service: &str) {
        let pid = self.pid(service);
        let process = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(process, Signal::KILL).expect("it runs");
        // Nobody but init waits for it, so it may stay a moment as a zombie.
        wait::until("the process has ended", Duration::from_secs(10), || {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        });
    }

    /// Starts a process of the cluster again, as the tool does: detached, with its pid and log kept.
    pub(crate) fn start(&self, service: &str, command: &[String]) {
        let script = r#"cd "$1"; name=$2; shift 2
            setsid nohup "$@" >>"$name.log" 2>&1 </dev/null & echo $! >"$name.pid""#;
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh"]).arg(&self.dir).arg(service).args(command);
        shell.env("KUBECONFIG", &self.kubeconfig);
        assert!(shell.status().expect("sh runs").success(), "cannot start {service}");
    }

    fn pid(&self, service: &str) -> u32 {
        let file = self.dir.join(format!("{service}.pid"));
        let text =
            fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        text.trim().parse().expect("a pid")
    }
}

fn complaint(out: &Output) -> String {
    String::from_utf8_lossy(if out.stderr.is_empty() { &out.stdout } else { &out.stderr })
        .trim()
        .to_owned()
}
