//! Ends and starts: in order, by a crash, and two at once.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::node::{Node, kills, until};
use crate::page::Page;

/// Fails when a counter or a start time of the pod is lower or gone.
fn goes_on(before: &Page, after: &Page) {
    let ours = before.all(&[("pod", "cart")]).filter(|sample| {
        sample.name.ends_with("_total") || sample.name.ends_with("_start_time_seconds")
    });
    let mut seen = 0;
    for sample in ours {
        let labels: Vec<_> = sample.labels.iter().map(|(key, value)| (&**key, &**value)).collect();
        let now = after.value(&sample.name, &labels);
        assert!(now.is_some_and(|now| now >= sample.value), "{sample:?} is {now:?} now");
        if sample.name.ends_with("_start_time_seconds") {
            assert_eq!(now, Some(sample.value), "{sample:?}");
        }
        seen += 1;
    }
    assert!(seen >= 3, "{seen} series of the pod");
}

#[test]
fn series_go_on_after_an_orderly_end() {
    let node = Node::start();
    node.cgroup_with('a', 2);
    let first = node.agent();
    first.counts(2.0);
    node.runs('b', Some(('a', "Error")));
    node.cgroup_with('b', 1);
    let before = first.counts(3.0);
    first.end(Signal::TERM);

    let second = node.agent();
    let after = second.scrape();
    assert_eq!(kills(&after), Some(3.0), "of both incarnations");
    goes_on(&before, &after);
    node.cgroup_with('b', 2);
    let before = second.counts(4.0);
    second.end(Signal::TERM);
    goes_on(&before, &node.agent().scrape());
}

#[test]
fn start_that_was_told_stays_when_the_kubelet_tells_another_later() {
    let node = Node::start();
    let first = node.agent();
    let before = first.scrape();
    first.end(Signal::TERM);
    // A whole second of difference is no reason to doubt the first word.
    let start = before.value("container_start_time_seconds", &[("container", "main")]);
    let state = fs::read_to_string(node.path("state/state.json")).unwrap();
    assert!(state.contains("\"start\":1767323045000000000"), "{start:?}: {state}");
    let earlier = state.replace("\"start\":1767323045000000000", "\"start\":1767323044250000000");
    fs::write(node.path("state/state.json"), earlier).unwrap();
    let after = node.agent().scrape();
    let now = after.value("container_start_time_seconds", &[("container", "main")]);
    assert_eq!(now, start.map(|start| start - 0.75));
}

#[test]
fn a_kill_while_no_podmeter_ran_is_counted_once() {
    let node = Node::start();
    node.cgroup_with('a', 1);
    let first = node.agent();
    first.counts(1.0);
    node.runs('b', Some(('a', "Error")));
    let before = first.counts(1.0);
    first.end(Signal::TERM);
    node.runs('c', Some(('b', "OOMKilled")));
    let second = node.agent();
    goes_on(&before, &second.counts(2.0));
    second.end(Signal::TERM);
    assert_eq!(kills(&node.agent().scrape()), Some(2.0));
}

#[test]
fn a_crash_costs_no_more_than_the_time_since_the_last_writing() {
    let node = Node::start();
    node.cgroup_with('a', 5);
    let first = node.agent();
    node.runs('b', Some(('a', "Error")));
    first.counts(5.0);
    until("the writing", || {
        let state = fs::read_to_string(node.path("state/state.json")).ok()?;
        state.contains(r#""total":5"#).then_some(())
    });
    first.end(Signal::KILL);
    assert_eq!(kills(&node.agent().scrape()), Some(5.0));
}

#[test]
fn of_two_at_once_the_later_one_goes_on_where_the_earlier_one_ended() {
    let node = Node::start();
    node.cgroup_with('a', 1);
    let old = node.agent();
    old.counts(1.0);
    node.runs('b', Some(('a', "Error")));
    node.cgroup_with('b', 1);
    old.counts(2.0);
    let new = node.agent();
    new.counts(2.0);
    assert_eq!(new.said("takes over when that ends").len(), 1);
    node.cgroup_with('b', 2);
    old.counts(3.0);
    let before = new.counts(3.0);
    old.end(Signal::TERM);
    node.cgroup_with('b', 3);
    goes_on(&before, &new.counts(4.0));
    // The new one writes from now on.
    until("its writing", || {
        let state = fs::read_to_string(node.path("state/state.json")).ok()?;
        state.contains(r#""total":4"#).then_some(())
    });
    new.end(Signal::TERM);
    assert_eq!(kills(&node.agent().scrape()), Some(4.0));
}

#[test]
fn a_start_is_ready_well_before_the_next_scrape_is_due() {
    let node = Node::start();
    let began = Instant::now();
    let agent = node.agent();
    let took = began.elapsed();
    eprintln!("ready after {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}; scrapes come every 10 s and more");
    let began = Instant::now();
    agent.end(Signal::TERM);
    let took = began.elapsed();
    eprintln!("ended after {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn the_first_page_has_the_names_of_all_containers() {
    let node = Node::start();
    let page = node.agent().scrape();
    assert_eq!(page.value("podmeter_unlabelled_samples_total", &[]), Some(0.0));
    assert_eq!(page.samples("container_memory_usage_bytes", &[("label_app", "cart")]).count(), 1);
}

#[test]
fn pods_that_are_gone_are_forgotten() {
    let node = Node::start();
    node.cgroup_with('a', 1);
    let first = node.agent();
    first.counts(1.0);
    first.end(Signal::TERM);
    assert!(fs::read_to_string(node.path("state/state.json")).unwrap().contains("\"main\""));
    node.server.delete("Pod", "shop", "cart");
    fs::remove_dir_all(node.path("cgroup/memory/kubepods/burstable")).unwrap();
    node.agent().end(Signal::TERM);
    let state = fs::read_to_string(node.path("state/state.json")).unwrap();
    assert!(state.contains("\"pods\":{}"), "{state}");
}
