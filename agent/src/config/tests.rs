//! What files, flags and defaults give together, and what is said of their faults.

use std::path::PathBuf;
use std::time::Duration;

use super::file::{File, KEYS, parse};
use super::*;
use crate::cli::LogFormat;

fn host() -> Host {
    Host { hostname: "worker-1".to_owned(), in_cluster: false, namespace: None }
}

fn standalone() -> Launch {
    Launch { standalone: true, ..Launch::default() }
}

/// The settings that a file's text gives under some flags, or the faults, a line each.
fn settings(text: &str, launch: &Launch, host: &Host) -> Result<Settings, Vec<String>> {
    let mut faults = Faults::default();
    let file = parse("podmeter.yaml", text, &mut faults);
    let settings = settings::validate(file, launch, host, &mut faults);
    if faults.is_empty() { Ok(settings) } else { Err(faults.lines().map(str::to_owned).collect()) }
}

fn faults(text: &str) -> Vec<String> {
    settings(text, &standalone(), &host()).unwrap_err()
}

#[test]
fn every_fault_is_told_at_once_with_its_key_and_the_fix() {
    let text = "
intervall: 10s
listen: [\"9464\", \"[::1]:x\"]
labels:
  max_count: -1
  include: [\"app[\"]
log: {format: xml}
root: /sys
";
    assert_eq!(
        faults(text),
        [
            "listen[0]: \"9464\" is not an address with a port; write \"0.0.0.0:9464\"",
            "listen[1]: \"[::1]:x\" is not an address with a port; write \"0.0.0.0:9464\"",
            "labels.max_count: -1 is not a whole number from 0 to 256",
            "log.format: \"xml\" is not text or json",
            "intervall: unknown key; did you mean \"interval\"?",
            "root: unknown key; did you mean \"cgroup.root\"?",
            "labels.include: \"app[\" is not a glob: unclosed character class; missing ']'",
        ]
    );
}

#[test]
fn kinds_are_checked() {
    assert_eq!(
        faults("interval: 10"),
        ["interval: 10 is not a duration; write it with a unit, such as 10s or 1m30s"]
    );
    assert_eq!(faults("interval: 1h"), ["interval: 1h is not from 1s to 5m"]);
    assert_eq!(faults("standalone: 1"), ["standalone: a number where true or false is expected"]);
    assert_eq!(
        faults("cgroup: /sys"),
        ["cgroup: a text where keys are expected; write \"key: value\" lines"]
    );
    assert_eq!(
        faults("- a"),
        ["the file: a list where keys are expected; write \"key: value\" lines"]
    );
    assert_eq!(
        faults("labels: {include: [1]}"),
        ["labels.include[0]: a number where a text is expected"]
    );
    assert_eq!(faults("colour: red").len(), 1);
}

#[test]
fn broken_yaml_is_told_with_line_and_column() {
    let faults = faults("interval: 10s\nlisten: [\n");
    assert!(
        faults[0].starts_with("podmeter.yaml:")
            && faults[0].split(':').nth(1).unwrap().parse::<u32>().is_ok(),
        "{faults:?}"
    );
}

#[test]
fn duplicate_keys_are_a_fault() {
    let faults = faults("interval: 10s\ninterval: 20s\n");
    assert!(
        faults[0].starts_with("podmeter.yaml:2:") && faults[0].contains("interval"),
        "{faults:?}"
    );
}

#[test]
fn a_duplicate_key_does_not_hide_the_other_faults() {
    assert_eq!(
        faults("interval: 10s\ninterval: 20s\nlog: {format: xml}\n"),
        [
            "podmeter.yaml:2:1: the key interval stands twice; remove one of them",
            "log.format: \"xml\" is not text or json",
        ]
    );
}

#[test]
fn faults_of_the_yaml_are_told_in_our_words() {
    assert_eq!(
        faults("interval: 5s\n---\ninterval: 6s\n"),
        ["podmeter.yaml:3:1: a second document; everything stands in one, remove the line ---"]
    );
    assert_eq!(
        faults("labels:\n\tinclude: [a]\n"),
        ["podmeter.yaml:2:2: tabs disallowed within this context (block indentation)"]
    );
}

#[test]
fn a_number_is_not_taken_for_a_text_that_was_written_differently() {
    for written in ["007", "1e3", "0x10", "1.50", "off", "yes"] {
        let faults = faults(&format!("node: {written}"));
        assert!(faults[0].starts_with("node: ") && faults[0].contains("in quotes"), "{faults:?}");
    }
    assert!(faults("log: {filter: off}")[0].contains("in quotes"));
}

#[test]
fn nothing_written_is_every_default() {
    for text in ["", "# only a comment\n", "---\n", "labels:\nlisten:\n"] {
        let settings = settings(text, &standalone(), &host()).unwrap();
        assert_eq!(settings.interval, Duration::from_secs(10), "{text:?}");
        assert_eq!(settings.listen, ["0.0.0.0:9464".parse().unwrap()]);
        assert_eq!(settings.cgroup.root, PathBuf::from("/sys/fs/cgroup"));
        assert_eq!(settings.labels, collector::pods::labels::Settings::default());
        assert_eq!(&*settings.node, "worker-1");
    }
}

#[test]
fn flag_goes_before_file_and_file_before_default() {
    let launch = Launch { interval: Some(Duration::from_secs(5)), ..standalone() };
    let settings =
        settings("interval: 30s\nproc: /host/proc\nnode: \"123\"", &launch, &host()).unwrap();
    assert_eq!(settings.interval, Duration::from_secs(5));
    assert_eq!(settings.proc, PathBuf::from("/host/proc"));
    assert_eq!(&*settings.node, "123", "a node may be called by a number");
}

#[test]
fn in_a_cluster_the_nodes_name_must_be_given() {
    let pod = Host { hostname: "podmeter-x2k8p".to_owned(), in_cluster: true, namespace: None };
    let faults = settings("", &Launch::default(), &pod).unwrap_err();
    assert!(
        faults[0].starts_with("node: not set") && faults[0].contains("fieldPath: spec.nodeName"),
        "{faults:?}"
    );
    let empty = Launch { node: Some(String::new()), ..Launch::default() };
    assert!(settings("", &empty, &pod).is_err(), "an empty variable is none");
    let named = Launch { node: Some("worker-1".to_owned()), ..Launch::default() };
    assert_eq!(settings("", &named, &pod).unwrap().source, Source::InCluster);
}

#[test]
fn without_a_cluster_the_way_to_names_must_be_chosen() {
    let faults = settings("", &Launch::default(), &host()).unwrap_err();
    assert!(faults[0].contains("--standalone") && faults[0].contains("--kubeconfig"), "{faults:?}");
}

#[test]
fn standalone_and_a_kubeconfig_in_one_file_exclude_each_other() {
    let faults =
        settings("standalone: true\nkubernetes: {kubeconfig: /x}", &Launch::default(), &host())
            .unwrap_err();
    assert_eq!(faults, ["standalone: excludes kubernetes.kubeconfig; leave one of them out"]);
}

#[test]
fn named_file_that_is_missing_is_a_fault() {
    let launch = Launch { config: Some(PathBuf::from("/no/such/file")), ..standalone() };
    let text = load(&launch, &host()).unwrap_err().to_string();
    assert!(
        text.starts_with("the settings are wrong\nconfig: /no/such/file: cannot read it"),
        "{text}"
    );
}

/// A file in which every key has the default that [`KEYS`] tells.
fn defaults_written_out() -> String {
    let mut lines = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
        let mut path: Vec<&str> = key.path.split('.').collect();
        let last = path.pop().unwrap();
        let shared = open.iter().zip(&path).take_while(|(a, b)| a == b).count();
        for (depth, section) in path.iter().enumerate().skip(shared) {
            lines.push(format!("{}{section}:", "  ".repeat(depth)));
        }
        lines.push(format!("{}{last}: {}", "  ".repeat(path.len()), key.default));
        open = path;
    }
    lines.join("\n")
}

#[test]
fn defaults_that_are_told_are_the_ones_in_force() {
    let written = settings(&defaults_written_out(), &standalone(), &host()).unwrap();
    let silent = settings("", &standalone(), &host()).unwrap();
    assert_eq!(format!("{written:?}"), format!("{silent:?}"));
    assert_eq!(silent.log, LogSettings { filter: "info".to_owned(), format: LogFormat::Text });
    let file = |text: &str| {
        let mut faults = Faults::default();
        let file = parse("podmeter.yaml", text, &mut faults);
        assert!(faults.is_empty(), "{faults}");
        file
    };
    assert_eq!(file(&defaults_written_out()).proxy, Proxy::default());
}

#[test]
fn events_on_pods_are_words_and_need_the_series_that_they_are_about() {
    let read = |text: &str| settings(text, &standalone(), &host());
    let both = read("kubernetes: {events: [stuck, memory], diagnose: false}").unwrap();
    assert_eq!((both.events.len(), both.diagnose), (2, false));
    assert_eq!(
        faults("kubernetes: {events: [oom]}"),
        ["kubernetes.events[0]: \"oom\" is not stuck, memory or throttling"]
    );
    assert_eq!(
        faults("kubernetes: {events: [memory]}\nmetrics: {exclude: [\"podmeter_memory_limit_*\"]}"),
        [
            "kubernetes.events: memory needs podmeter_memory_limit_ratio, which metrics.exclude leaves out; take it out of one of them"
        ]
    );
}

#[test]
fn docs_page_has_every_key_with_its_default_and_no_other() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md"))
            .unwrap();
    let rows: Vec<(&str, &str)> = page
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split(" | ");
            Some((cells.next()?.trim_end_matches('`'), cells.next()?.trim_matches('`')))
        })
        .collect();
    let keys: Vec<(&str, &str)> = KEYS.iter().map(|key| (key.path, key.default)).collect();
    let told = |default: &str| if default.is_empty() { "" } else { default }.to_owned();
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(path, default)| {
            (path.to_owned(), if default.starts_with('(') { String::new() } else { told(default) })
        })
        .collect();
    assert_eq!(
        rows,
        keys.into_iter()
            .map(|(path, default)| (path.to_owned(), told(default)))
            .collect::<Vec<_>>()
    );
}

#[test]
fn examples_of_the_docs_page_are_valid() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md"))
            .unwrap();
    let examples: Vec<&str> =
        page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 2);
    for example in examples {
        let mut faults = Faults::default();
        let file = parse("example", example, &mut faults);
        assert!(faults.is_empty(), "{faults}");
        assert_ne!(file, File::default());
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*|([a-z_.]{1,12}: ?[\\[{\"]?[a-z0-9:/*]{0,8}[\\]}\"]?\n){0,6}") {
        let _ = settings(&text, &standalone(), &host());
    }
}
