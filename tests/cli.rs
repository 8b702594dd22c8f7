//! The real binary from the outside: exit codes, what it prints, how it ends.
//!
//! No test needs a cluster. Those of the demo make cgroups and say so and pass where that is not allowed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

#[path = "cli/check.rs"]
mod check;
#[path = "cli/demo.rs"]
mod demo;
#[path = "cli/proxy.rs"]
mod proxy;

use agent::apiserver::{ApiServer, Fault, On, Options, Verb};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const UID: &str = "0a1b2c3d-0000-4000-8000-0123456789ab";
/// Far longer than anything here takes; reached only when something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary, with none of this machine's variables, and a closed terminal noticed even where the tests run under
/// `nohup`.
fn podmeter(arguments: &[&str]) -> Command {
    let mut command = Command::new("/usr/bin/env");
    command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_podmeter")]);
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn output(arguments: &[&str]) -> Output {
    podmeter(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A directory that looks like a cgroup v1 mount with one container of one pod.
fn cgroups() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let container = format!("kubepods/burstable/pod{UID}/{}", "ab".repeat(32));
    let put = |controller: &str, files: &[(&str, &str)]| {
        let directory = root.path().join(controller);
        fs::create_dir_all(directory.join(&container)).unwrap();
        for path in directory.join(&container).ancestors().take(5) {
            fs::write(path.join("cgroup.procs"), "").unwrap();
            for (name, text) in files {
                fs::write(path.join(name), text).unwrap();
            }
        }
    };
    put(
        "memory",
        &[
            ("memory.usage_in_bytes", "4096000\n"),
            ("memory.limit_in_bytes", "8192000\n"),
            ("memory.stat", "total_rss 1000\ntotal_inactive_file 96000\n"),
        ],
    );
    put("cpuacct", &[("cpuacct.usage", "1500000000\n")]);
    root
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A running podmeter that is ended when the test ends, in whatever way.
struct Running {
    child: Child,
}

impl Running {
    fn start(mut command: Command) -> Self {
        Self { child: command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap() }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The exit code, once it has ended.
    fn ended(&mut self) -> Option<i32> {
        let status = until("the end of podmeter", || self.child.try_wait().unwrap());
        status.code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SIGTERM lets the demo remove its cgroups; the kill is for one that does not listen any more.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let since = Instant::now();
            while self.child.try_wait().is_ok_and(|status| status.is_none())
                && since.elapsed() < Duration::from_secs(15)
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Asks again until there is an answer; a condition, not a guess at how long it takes.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(since.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The body of a 200 answer; nothing for any other and while nobody listens.
fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: podmeter\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.contains(" 200 ").then(|| body.to_owned())
}

#[test]
fn wrong_configuration_tells_all_faults_and_exits_2() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("podmeter.yaml");
    fs::write(&file, "intervall: 10s\nlabels: {max_count: many}\nlog: {format: xml}\n").unwrap();
    for command in ["run", "once", "check"] {
        let output = output(&[command, "--standalone", "--config", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{command}");
        let text = stderr(&output);
        assert!(
            text.contains("config: intervall: unknown key; did you mean \"interval\"?"),
            "{text}"
        );
        assert!(
            text.contains("config: labels.max_count: ") && text.contains("config: log.format: "),
            "{text}"
        );
        assert!(stdout(&output).is_empty());
    }
}

#[test]
fn wrong_usage_exits_2_and_help_exits_0() {
    assert_eq!(output(&["run", "--no-such-flag"]).status.code(), Some(2));
    assert_eq!(output(&["run", "--interval", "soon", "--standalone"]).status.code(), Some(2));
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["demo", "--help"],
        &["top", "--help"],
        &["--version"],
    ] {
        let output = output(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!stdout(&output).contains('\u{1b}'), "no colours when piped");
    }
    let help = stdout(&output(&["--help"]));
    assert!(help.contains("podmeter demo") && !help.contains("demo-worker"), "{help}");
}

#[test]
fn in_a_cluster_a_missing_node_name_is_told_with_the_fix() {
    let output = podmeter(&["run"]).env("KUBERNETES_SERVICE_HOST", "10.0.0.1").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("fieldPath: spec.nodeName"), "{}", stderr(&output));
}

#[test]
fn once_prints_the_containers_of_a_cgroup_tree_under_their_uids() {
    let root = cgroups();
    let output = output(&[
        "once",
        "--standalone",
        "--node",
        "n1",
        "--cgroup-root",
        root.path().to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    let line = text
        .lines()
        .find(|line| line.starts_with("container_memory_working_set_bytes{"))
        .expect(&text);
    assert!(
        line.contains(UID) && line.contains("node=\"n1\"") && line.ends_with(" 4000000"),
        "{line}"
    );
    assert!(
        text.contains("container_cpu_usage_seconds_total{") && text.contains("node_load1{"),
        "{text}"
    );
}

#[test]
fn once_without_its_api_server_warns_and_prints_uids_or_fails_if_asked_to() {
    let root = cgroups();
    let kubeconfig = root.path().join("kubeconfig");
    let nobody = free_address();
    fs::write(
        &kubeconfig,
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: \"http://{nobody}\"}}}}]\n\
             users: [{{name: u, user: {{}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
        ),
    )
    .unwrap();
    let arguments = [
        "once",
        "--node",
        "n1",
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
        "--cgroup-root",
        root.path().to_str().unwrap(),
    ];
    let lenient = output(&arguments);
    assert_eq!(lenient.status.code(), Some(0), "{}", stderr(&lenient));
    assert!(
        stdout(&lenient).contains(UID) && stderr(&lenient).contains("names cannot be had"),
        "{}",
        stderr(&lenient)
    );
    let strict = output(&[&arguments[..], &["--strict"]].concat());
    assert_eq!(strict.status.code(), Some(1));
    assert!(stdout(&strict).is_empty());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let root = cgroups();
    let root = root.path().to_str().unwrap();
    for arguments in [
        &["check", "--standalone", "--listen", "127.0.0.1:0", "--cgroup-root", root][..],
        &["once", "--standalone", "--cgroup-root", root],
        &["demo", "--listen", "127.0.0.1:0", "--for", "1s"],
    ] {
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let output = podmeter(arguments).stdout(write).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn variables_that_are_set_to_nothing_are_not_set_and_flags_go_before_them() {
    let root = cgroups();
    let root = root.path().to_str().unwrap();
    let mut once = podmeter(&["once", "--standalone", "--cgroup-root", root]);
    for variable in ["CONFIG", "LISTEN", "INTERVAL", "PROC_ROOT", "LOG_FORMAT", "STANDALONE"] {
        once.env(format!("PODMETER_{variable}"), "");
    }
    let output = once.env("PODMETER_KUBECONFIG", "/no/such/file").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let output = podmeter(&["once", "--cgroup-root", root])
        .env("PODMETER_STANDALONE", "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn taken_port_ends_run_with_the_fix() {
    let root = cgroups();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = output(&[
        "run",
        "--standalone",
        "--cgroup-root",
        root.path().to_str().unwrap(),
        "--listen",
        &address,
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains(&format!("cannot listen on {address}")),
        "{}",
        stderr(&output)
    );
}

#[test]
fn sigterm_and_sigint_end_run_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let root = cgroups();
        let address = free_address();
        let mut running = Running::start(podmeter(&[
            "run",
            "--standalone",
            "--cgroup-root",
            root.path().to_str().unwrap(),
            "--listen",
            &address.to_string(),
        ]));
        until("readiness", || get(address, "/readyz"));
        assert!(get(address, "/metrics").unwrap().contains(UID));
        running.signal(signal);
        assert_eq!(running.ended(), Some(0), "{signal:?}");
        assert!(TcpStream::connect(address).is_err());
    }
}

#[test]
fn top_without_an_agent_says_so() {
    let output = output(&["top", "--url", &format!("http://{}", free_address())]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no agent answers on"), "{}", stderr(&output));
}
