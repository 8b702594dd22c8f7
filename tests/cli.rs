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

#[path = "cli/proxy.rs"]
mod proxy;

use agent::apiserver::{ApiServer, Fault, On, Options, Verb};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const UID: &str = "0a1b2c3d-0000-4000-8000-0123456789ab";
/// Far longer than anything here takes; reached only when something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary, with none of this machine's variables.
fn podmeter(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podmeter"));
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
fn check_reports_as_json_and_exits_3_when_something_fails() {
    let root = cgroups();
    let free = free_address().to_string();
    let root = root.path().to_str().unwrap();
    let arguments = ["check", "-o", "json", "--standalone", "--cgroup-root", root, "--listen"];
    let good = output(&[&arguments[..], &[&free]].concat());
    let report: serde_json::Value = serde_json::from_slice(&good.stdout).unwrap();
    let state = |report: &serde_json::Value, what: &str| {
        report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .find(|finding| finding["what"] == what)
            .unwrap()["state"]
            .clone()
    };
    assert_eq!(good.status.code(), Some(0), "{report:#}");
    assert_eq!((state(&report, "listen"), state(&report, "seen")), ("ok".into(), "ok".into()));

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bad = output(&[&arguments[..], &[&taken.local_addr().unwrap().to_string()]].concat());
    let report: serde_json::Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert_eq!(bad.status.code(), Some(3), "{report:#}");
    assert_eq!(state(&report, "listen"), "failed");
    assert_eq!(report["failed"], 1);
}

/// An API server with the node n1 and a pod on it, and a kubeconfig that leads there.
struct Cluster {
    /// Its connections are served while this lives.
    runtime: Runtime,
    server: ApiServer,
    root: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let options = Options { token: Some("s3cret".to_owned()), ..Options::default() };
        let server = runtime.block_on(ApiServer::start_with(options)).unwrap();
        server.apply(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}));
        server.apply(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "a", "namespace": "default", "uid": UID},
            "spec": {"nodeName": "n1", "containers": [{"name": "main"}]},
        }));
        let root = cgroups();
        fs::write(root.path().join("kubeconfig"), server.kubeconfig()).unwrap();
        Self { runtime, server, root }
    }

    /// What `podmeter check` says and ends with.
    fn check(&self, more: &[&str]) -> (Option<i32>, String) {
        let root = self.root.path().to_str().unwrap();
        let kubeconfig = format!("{root}/kubeconfig");
        let fixed = ["check", "--node", "n1", "--listen", "127.0.0.1:0", "--cgroup-root", root];
        let output = output(&[&fixed[..], &["--kubeconfig", &kubeconfig], more].concat());
        (output.status.code(), stdout(&output) + &stderr(&output))
    }

    /// State, text and fix of a finding.
    fn finding(&self, what: &str) -> [String; 3] {
        let (_, text) = self.check(&["-o", "json"]);
        let document = text.split("\nerror: ").next().unwrap();
        let report: Value = serde_json::from_str(document).expect(&text);
        let findings = report["findings"].as_array().unwrap();
        let finding = findings.iter().find(|finding| finding["what"] == what).expect(&text);
        ["state", "says", "fix"].map(|key| finding[key].as_str().unwrap_or_default().to_owned())
    }
}

#[test]
fn check_with_every_right_counts_the_pods() {
    let cluster = Cluster::start();
    let (code, text) = cluster.check(&[]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("1 on this node, 1 containers"), "{text}");
    for what in ["api: list pods", "api: watch pods", "api: list nodes", "api: watch nodes"] {
        assert_eq!(cluster.finding(what)[0], "ok", "{what}");
    }
    let seen = cluster.server.requests();
    assert!(
        seen.iter()
            .all(|request| request.path.ends_with("/pods") || request.path.ends_with("/nodes"))
    );
}

#[test]
fn check_tells_of_each_denied_right_what_is_lost_and_the_rule_that_gives_it() {
    for (verb, resource, what, state, lost) in [
        (Verb::List, "pods", "api: list pods", "failed", "series go out under uids"),
        (Verb::Watch, "pods", "api: watch pods", "failed", "series go out under uids"),
        (Verb::List, "nodes", "api: list nodes", "degraded", "capacity, allocatable, conditions"),
        (Verb::Watch, "nodes", "api: watch nodes", "degraded", "the allocation ratios of the node"),
    ] {
        let cluster = Cluster::start();
        cluster.server.fault(On::request(verb, resource), usize::MAX, Fault::status(403));
        let [is, says, fix] = cluster.finding(what);
        assert_eq!(is, state, "{what}: {says}");
        assert!(says.contains(lost), "{what}: {says}");
        assert!(
            fix.contains(&format!("resources: [{resource}]\n    verbs: [list, watch]")),
            "{what}: {fix}"
        );
        let (code, text) = cluster.check(&[]);
        assert_eq!(code, Some(if state == "failed" { 3 } else { 0 }), "{text}");
    }
}

#[test]
fn check_does_not_ask_for_rights_where_the_server_cannot_be_reached() {
    let mut cluster = Cluster::start();
    cluster.runtime.block_on(cluster.server.stop());
    let (code, text) = cluster.check(&[]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("cannot reach the API server") && !text.contains("verbs:"), "{text}");
    assert!(!text.contains("ERROR"), "the report says it, a log line does not: {text}");
}

#[test]
fn check_with_a_wrong_token_points_to_it_and_does_not_print_it() {
    let cluster = Cluster::start();
    let wrong = cluster.server.kubeconfig().replace("s3cret", "hunter2");
    fs::write(cluster.root.path().join("kubeconfig"), wrong).unwrap();
    let (code, text) = cluster.check(&["--log", "trace"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("does not accept our credentials"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("verbs:"), "{text}");
}

#[test]
fn a_broken_kubeconfig_is_told_without_its_secrets() {
    let cluster = Cluster::start();
    let kubeconfig = cluster.root.path().join("kubeconfig");
    fs::write(&kubeconfig, "users:\n- name: u\n  user: {token: hunter2\n").unwrap();
    let (code, text) = cluster.check(&[]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("cannot use the kubeconfig") && text.contains("line"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let root = cluster.root.path().to_str().unwrap();
    let run = output(&[
        "run",
        "--node",
        "n1",
        "--listen",
        "127.0.0.1:0",
        "--cgroup-root",
        root,
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
    ]);
    assert_eq!(run.status.code(), Some(1));
    assert!(!stderr(&run).contains("hunter2"), "{}", stderr(&run));
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

/// Every cgroup that a demo with this process id would have made.
fn trees(pid: u32) -> Vec<PathBuf> {
    let name = format!("podmeter-demo-{pid}");
    let hierarchies = fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join(&name));
    hierarchies
        .chain([Path::new("/sys/fs/cgroup").join(&name)])
        .filter(|path| path.exists())
        .collect()
}

/// Processes whose parent is `pid`.
fn children(pid: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes
        .filter(|process: &u32| {
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            let parent =
                stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
            parent == Some(pid)
        })
        .collect()
}

/// The value of the only series that starts with `name` and has all of `labels`.
fn value(page: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let line = page.lines().find(|line| {
        line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label))
    })?;
    line.rsplit(' ').next()?.parse().ok()
}

struct Demo {
    running: Running,
    address: SocketAddr,
    proxy: SocketAddr,
    has_cgroups: bool,
}

fn demo() -> Demo {
    let arguments =
        ["demo", "--listen", "127.0.0.1:0", "--proxy-listen", "127.0.0.1:0", "--interval", "1s"];
    let mut running = Running::start(podmeter(&arguments));
    let mut said = String::new();
    let mut lines = BufReader::new(running.child.stdout.take().unwrap());
    while !said.contains("Ctrl-C to stop.") {
        assert_ne!(lines.read_line(&mut said).unwrap(), 0, "the demo ended: {said}");
    }
    let address = |line: &str| {
        let rest = line.split("http://").nth(1).unwrap();
        rest.split('/').next().unwrap().parse().unwrap()
    };
    let proxy = said.lines().find(|line| line.contains("the proxy, with traffic")).unwrap();
    let (address, proxy) = (address(&said), address(proxy));
    Demo { running, address, proxy, has_cgroups: !said.contains("No cgroups could be made") }
}

/// The sum of all series that start with `name` and have all of `labels`.
fn sum(page: &str, name: &str, labels: &[&str]) -> f64 {
    let lines = page.lines().filter(|line| {
        line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label))
    });
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[test]
fn demo_measures_its_pods_through_the_proxy_and_tells_canary_from_stable() {
    const TIME: &str = "http_client_request_duration_seconds";
    let Demo { mut running, address, proxy, .. } = demo();
    let page = until("traffic through every route, and an error", || {
        let page = get(address, "/metrics")?;
        let routes = ["/cart", "/orders", "/payments", "/export", "/"];
        let asked = routes.iter().all(|route| {
            sum(&page, &format!("{TIME}_count"), &[&format!("http_route=\"{route}\"")]) >= 3.0
        });
        let failed = sum(&page, &format!("{TIME}_count"), &["error_type=\"500\""]) > 0.0;
        let unknown = sum(&page, "podmeter_proxy_refused_total", &["reason=\"no_route\""]) > 0.0;
        (asked && failed && unknown).then_some(page)
    });
    let average = |version: &str| {
        let labels = [
            "label_role=\"api\"",
            "label_application=\"shop\"",
            &format!("label_version=\"{version}\""),
        ];
        let of = |part: &str| sum(&page, &format!("{TIME}_{part}"), &labels);
        of("sum") / of("count")
    };
    // What their answers take is a lower bound that no load on this machine changes.
    let (canary, stable) = (average("canary"), average("stable"));
    assert!(canary >= 0.120 && stable >= 0.020 && canary > stable, "{canary} {stable}");

    let mut stream = TcpStream::connect(proxy).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET /cart HTTP/1.1\r\nHost: shop.demo\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok\n"), "{answer}");

    running.signal(Signal::TERM);
    assert_eq!(running.ended(), Some(0));
    assert!(TcpStream::connect(proxy).is_err(), "nobody listens there any more");
}

#[test]
fn a_taken_address_of_the_demos_proxy_is_told_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = output(&["demo", "--listen", "127.0.0.1:0", "--proxy-listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains(&address) && text.contains("--proxy-listen"), "{text}");
}

#[test]
fn demo_shows_real_numbers_under_its_pods_labels_and_leaves_nothing_behind() {
    let Demo { mut running, address, has_cgroups, .. } = demo();
    let pid = running.child.id();
    until("readiness", || get(address, "/readyz"));
    if has_cgroups {
        const MAILER: &[&str] = &[
            "label_application=\"shop\"",
            "label_component=\"mailer\"",
            "label_role=\"worker\"",
            "label_version=\"stable\"",
            "annotation_team=\"storefront\"",
        ];
        let page = || get(address, "/metrics");
        let containers = [
            "checkout", "mailer", "sessions", "payments", "invoices", "ledger", "query", "indexer",
        ];
        let all = until("every container's CPU and memory", || {
            let page = page()?;
            let has = |name: &str| {
                containers.iter().all(|container| {
                    value(&page, name, &[&format!("container=\"{container}\"")])
                        .is_some_and(|value| value > 0.0)
                })
            };
            (has("container_cpu_usage_seconds_total") && has("container_memory_working_set_bytes"))
                .then_some(page)
        });
        assert_eq!(value(&all, "container_spec_memory_limit_bytes", MAILER), Some(67_108_864.0));
        assert!(all.contains("label_version=\"canary\"") && all.contains("label_role=\"cache\""));
        let throttled =
            |page: &str| value(page, "container_cpu_cfs_throttled_seconds_total", MAILER);
        let before = throttled(&all).unwrap();
        until("more throttling", || throttled(&page()?).filter(|now| *now > before));
        assert!(!trees(pid).is_empty() && children(pid).len() >= 9);
    } else {
        eprintln!("no cgroups may be made here: only the demo without processes is tested");
    }
    let workers = children(pid);
    running.signal(Signal::TERM);
    assert_eq!(running.ended(), Some(0));
    assert_eq!(trees(pid), Vec::<PathBuf>::new());
    assert!(workers.iter().all(|worker| !Path::new(&format!("/proc/{worker}")).exists()));
}

#[test]
fn demo_that_is_killed_takes_its_processes_along_and_the_next_one_cleans_up() {
    let Demo { mut running, has_cgroups, .. } = demo();
    let pid = running.child.id();
    let workers = children(pid);
    running.signal(Signal::KILL);
    running.ended();
    let is_gone = |worker: &u32| {
        fs::read_to_string(format!("/proc/{worker}/stat"))
            .map_or(true, |stat| stat.contains(") Z "))
    };
    until("the end of the processes", || workers.iter().all(is_gone).then_some(()));
    if has_cgroups {
        assert!(!trees(pid).is_empty());
        drop(demo());
        assert_eq!(trees(pid), Vec::<PathBuf>::new());
    }
}

#[test]
fn demo_leaves_nothing_behind_when_its_terminal_is_closed() {
    let Demo { mut running, .. } = demo();
    let pid = running.child.id();
    running.signal(Signal::HUP);
    assert_eq!(running.ended(), Some(0));
    assert_eq!(trees(pid), Vec::<PathBuf>::new());
}

#[test]
fn demo_ends_by_itself_when_asked_to() {
    let output = output(&["demo", "--listen", "127.0.0.1:0", "--for", "1s"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("/metrics"));
}
