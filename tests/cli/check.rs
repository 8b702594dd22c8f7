//! `podmeter check`: what it says of a server that refuses, and with which exit code.

use super::*;

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
pub(super) struct Cluster {
    /// Its connections are served while this lives.
    pub(super) runtime: Runtime,
    pub(super) server: ApiServer,
    pub(super) root: tempfile::TempDir,
}

impl Cluster {
    pub(super) fn start() -> Self {
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
    pub(super) fn check(&self, more: &[&str]) -> (Option<i32>, String) {
        let root = self.root.path().to_str().unwrap();
        let kubeconfig = format!("{root}/kubeconfig");
        let fixed = ["check", "--node", "n1", "--listen", "127.0.0.1:0", "--cgroup-root", root];
        let output = output(&[&fixed[..], &["--kubeconfig", &kubeconfig], more].concat());
        (output.status.code(), stdout(&output) + &stderr(&output))
    }

    /// State, text and fix of a finding.
    pub(super) fn finding(&self, what: &str) -> [String; 3] {
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
    for what in
        ["api: list events", "api: get persistentvolumeclaims", "api: list volumeattachments"]
    {
        assert_eq!(cluster.finding(what)[0], "ok", "{what}");
    }
    let seen = cluster.server.requests();
    let known = ["pods", "nodes", "events", "persistentvolumeclaims", "volumeattachments"];
    let is_known = |path: &str| path.split('/').any(|part| known.contains(&part));
    assert!(seen.iter().all(|request| is_known(&request.path) && request.verb != Verb::Create));
}

#[test]
fn check_tells_what_is_lost_without_the_optional_rights_of_stuck_pods() {
    let cluster = Cluster::start();
    let config = cluster.root.path().join("podmeter.yaml");
    let with = |text: &str| {
        fs::write(&config, text).unwrap();
        cluster.check(&["--config", config.to_str().unwrap()])
    };
    let (code, text) = with("kubernetes: {events: [stuck]}");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("api: create events"), "{text}");
    assert!(cluster.server.written().is_empty(), "it was a dry run");

    cluster.server.fault(On::resource("events"), usize::MAX, Fault::status(403));
    cluster.server.fault(On::resource("volumeattachments"), usize::MAX, Fault::status(403));
    let (code, text) = with("kubernetes: {events: [stuck]}");
    assert_eq!(code, Some(0), "degraded is no failure: {text}");
    for part in [
        "the reason stays unknown",
        "which other node has the volume",
        "the Events that kubernetes.events asks for",
        "apiGroups: [\"storage.k8s.io\"]",
        "verbs: [create]",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (_, text) = with("kubernetes: {diagnose: false}");
    assert!(!text.contains("events") && !text.contains("volumeattachments"), "{text}");
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
