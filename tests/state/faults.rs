//! State that cannot be used: Podmeter runs on, says why and counts it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::node::{Agent, Node};

/// What is told of a text that lies in the state folder at the start.
fn told_of(text: &str) -> (Node, Agent) {
    let node = Node::start();
    fs::create_dir(node.path("state")).unwrap();
    fs::write(node.path("state/state.json"), text).unwrap();
    let agent = node.agent();
    (node, agent)
}

fn faults(agent: &Agent, reason: &str) -> Option<f64> {
    agent.scrape().value("podmeter_state_faults_total", &[("reason", reason)])
}

#[test]
fn state_that_cannot_be_read_begins_anew_with_a_warning_and_the_fix() {
    let newer = r#"{"version": 99, "node": "n1"}"#;
    let other = r#"{"version": 1, "node": "n2", "pods": {}}"#;
    for (text, reason, fix) in [
        ("{\"version\": 1, \"node\": \"n", "damaged", "look at the disk"),
        (newer, "newer_version", "go back to that Podmeter"),
        (other, "other_node", "a folder of its own"),
        (&" ".repeat(600 * 1024), "too_large", "begins anew"),
    ] {
        let (node, agent) = told_of(text);
        assert_eq!(faults(&agent, reason), Some(1.0), "{reason}");
        let said = agent.said(fix);
        assert!(
            said.len() == 1 && said[0].contains("WARN") && said[0].contains(reason),
            "{said:?}"
        );
        agent.end(Signal::TERM);
        assert_eq!(faults(&node.agent(), reason), Some(0.0), "it was written anew");
    }
}

#[test]
fn a_file_that_everybody_may_write_is_not_believed() {
    let node = Node::start();
    node.agent().end(Signal::TERM);
    let open = fs::Permissions::from_mode(0o666);
    fs::set_permissions(node.path("state/state.json"), open).unwrap();
    let agent = node.agent();
    assert_eq!(faults(&agent, "permissions"), Some(1.0));
    agent.end(Signal::TERM);
    let mode = fs::metadata(node.path("state/state.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "replaced by one of its own");
}

#[test]
fn without_a_folder_it_runs_and_says_what_to_make() {
    let node = Node::start();
    let config = node.keeping("no/such/folder");
    let agent = Agent::start(node.command(&["run", "--log-format=json"], &config));
    assert_eq!(faults(&agent, "unwritable"), Some(1.0));
    assert_eq!(agent.said("install -d").len(), 1);
    agent.end(Signal::TERM);

    let output = node.output(&["check"], &config);
    let report = String::from_utf8(output.stdout).unwrap();
    let line = report.lines().find(|line| line.contains(" state ")).unwrap();
    assert!(line.starts_with("degraded") && line.contains("unwritable"), "{report}");
    assert!(report.contains("install -d"), "{report}");
}

#[test]
fn check_tells_whether_state_can_be_kept() {
    let node = Node::start();
    let line = || {
        let output = node.output(&["check"], &node.keeping("state"));
        let report = String::from_utf8(output.stdout).unwrap();
        report.lines().find(|line| line.contains(" state ")).unwrap().to_owned()
    };
    assert!(line().starts_with("ok") && line().contains("nothing is kept yet"), "{}", line());
    let agent = node.agent();
    assert!(line().contains("a running Podmeter"), "{}", line());
    agent.end(Signal::TERM);
    assert!(line().contains("counts go on from there"), "{}", line());
}

#[test]
fn without_the_key_nothing_is_kept_or_counted() {
    let node = Node::start();
    for config in ["interval: 1s\n", "state: {path: \"\"}\n"] {
        let agent = Agent::start(node.command(&["run", "--log-format=json"], config));
        assert_eq!(faults(&agent, "damaged"), None);
    }
}
