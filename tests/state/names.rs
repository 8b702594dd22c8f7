//! Keys under their old names: taken with a warning, refused beside the new ones.

use crate::node::{Agent, Node};

const OLD: &str = "kubernetes: {namespace_labels: [\"team\"]}\n";
const NEW: &str = "labels: {namespace: [\"team\"]}\n";

#[test]
fn the_old_name_does_what_the_new_one_does_and_the_log_says_so_once() {
    let node = Node::start();
    for (config, warnings) in [(OLD, 1), (NEW, 0)] {
        let agent = Agent::start(node.command(&["run", "--log-format=json"], config));
        let page = agent.scrape();
        let tills = [("pod", "cart"), ("namespace_label_team", "tills")];
        assert_eq!(page.samples("container_memory_usage_bytes", &tills).count(), 1, "{config}");
        let said = agent.said("rename kubernetes.namespace_labels to labels.namespace");
        assert_eq!(said.len(), warnings, "{said:?}");
    }
}

#[test]
fn check_names_the_old_name_and_what_to_write() {
    let node = Node::start();
    let output = node.output(&["check"], OLD);
    let report = String::from_utf8(output.stdout).unwrap();
    let line = report.lines().find(|line| line.starts_with("degraded  configuration")).unwrap();
    assert!(
        line.contains("kubernetes.namespace_labels is called labels.namespace now"),
        "{report}"
    );
    assert!(report.contains("fix: rename kubernetes.namespace_labels"), "{report}");
}

#[test]
fn both_names_at_once_are_refused_by_both_names() {
    let node = Node::start();
    let output = node.output(&["check"], &format!("{OLD}{NEW}"));
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    let fault = "config: kubernetes.namespace_labels: stands beside labels.namespace";
    assert!(said.contains(fault), "{said}");
}
