//! The table at the end of `kubectl describe node`.

use std::collections::BTreeMap;

use crate::cluster::page::Page;
use crate::cluster::suite::{START, Suite};

pub(crate) fn allocation_is_what_kubectl_describes(suite: &Suite) {
    let _steady = suite.steady();
    super::identity::api(suite);
    // Other cases make and delete pods meanwhile: two equal tables with a page in between must agree with it.
    suite.recorder.until("a page like the table of kubectl", START, |_| {
        let before = table(&suite.tool().kubectl(&["describe", "node", "node1"]));
        let page = suite.recorder.fresh();
        let after = table(&suite.tool().kubectl(&["describe", "node", "node1"]));
        let ours = ours(&page, &before);
        if before == after && ours != before {
            eprintln!("cluster: allocation: kubectl {before:?}, page {ours:?}");
        }
        (before == after && ours == before).then_some(())
    });
    let page = suite.recorder.latest();
    let requests =
        page.value("podmeter_node_resource_requests", &[("resource", "cpu")]).expect("a sum");
    let ratio = page
        .value("podmeter_node_resource_requests_ratio", &[("resource", "cpu")])
        .expect("a ratio");
    let allocatable = page
        .value("kube_node_status_allocatable", &[("resource", "cpu")])
        .expect("the node is known");
    assert!(requests > 0.0 && (ratio - requests / allocatable).abs() < 1e-9);
}

/// Requests and limits by resource, CPU in thousandths of a core and memory in bytes.
type Table = BTreeMap<String, [String; 2]>;

fn ours(page: &Page, like: &Table) -> Table {
    let value = |name, resource: &str| {
        let scale = if resource == "cpu" { 1000.0 } else { 1.0 };
        let value = page.value(name, &[("resource", resource)]).unwrap_or_default();
        format!("{:.0}", value * scale)
    };
    let row = |resource: &String| {
        ["podmeter_node_resource_requests", "podmeter_node_resource_limits"]
            .map(|name| value(name, resource))
    };
    like.keys().map(|resource| (resource.clone(), row(resource))).collect()
}

fn table(description: &str) -> Table {
    let (_, table) = description.split_once("Allocated resources:").expect("a table");
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let wanted = rows.filter(|words| matches!(words.first(), Some(&("cpu" | "memory"))));
    let read = |words: Vec<&str>| {
        let resource = words[0].to_owned();
        let amounts = [words[1], words[3]].map(|text| amount(text, &resource).to_string());
        (resource, amounts)
    };
    wanted.map(read).collect()
}

fn amount(text: &str, resource: &str) -> u64 {
    let digits = text.trim_end_matches(|letter: char| letter.is_alphabetic());
    let number: u64 = digits.parse().expect("a number");
    match (&text[digits.len()..], resource) {
        ("m" | "", "memory") | ("m", "cpu") => number,
        ("", "cpu") => number * 1000,
        ("Ki", _) => number << 10,
        ("Mi", _) => number << 20,
        ("Gi", _) => number << 30,
        (unit, _) => panic!("no unit: {unit}"),
    }
}
