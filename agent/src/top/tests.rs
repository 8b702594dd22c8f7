//! What `top` shows of an agent's answer.

use super::table::{cpu, memory};
use super::*;
use crate::cli::Entry;

const ANSWER: &str = r#"{"node": "n", "taken_unix_seconds": 1.0, "containers": [
  {"labels": {"namespace": "shop", "pod": "shop-mailer-5c8f7d9b64-h4t6z", "container": "mailer"},
   "pod_labels": {}, "pod_annotations": {}, "cpu_cores": 0.2001,
   "series": {"container_memory_working_set_bytes": 10485760.0, "podmeter_cpu_limit_ratio": 1.0, "podmeter_cpu_request_ratio": 2.0,
     "podmeter_memory_limit_ratio{basis=\"working_set\"}": 0.156, "container_cpu_cfs_periods_total": 200.0,
     "container_cpu_cfs_throttled_periods_total": 150.0, "kube_pod_container_status_restarts_total": 3.0, "container_oom_events_total": 1.0}},
  {"labels": {"namespace": "shop", "pod": "shop-sessions-0", "container": "sessions"},
   "pod_labels": {}, "pod_annotations": {}, "cpu_cores": 0.01,
   "series": {"container_memory_working_set_bytes": 41943040.0, "podmeter_memory_limit_ratio{basis=\"working_set\"}": 0.8}},
  {"labels": {"uid": "6a2f", "container_id": "0123456789ab", "node": "n"}, "pod_labels": {}, "pod_annotations": {}, "cpu_cores": null, "series": {"x": null}}
]}"#;

fn sorted(by: Sort) -> Vec<Container> {
    let mut containers = ask::parse(ANSWER.as_bytes()).unwrap();
    sort(&mut containers, by);
    containers
}

fn order(by: Sort) -> Vec<String> {
    sorted(by).iter().map(|container| container.name()[2].to_owned()).collect()
}

#[test]
fn highest_comes_first_and_what_has_no_number_last() {
    assert_eq!(order(Sort::Cpu), ["mailer", "sessions", "0123456789ab"]);
    assert_eq!(order(Sort::Mem), ["sessions", "mailer", "0123456789ab"]);
    assert_eq!(order(Sort::Limit), ["mailer", "sessions", "0123456789ab"]);
}

#[test]
fn table_shows_kubectls_units() {
    let text = Table::new(&sorted(Sort::Cpu)).render(None, false);
    let lines: Vec<Vec<&str>> =
        text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        lines[0],
        [
            "NAMESPACE",
            "POD",
            "CONTAINER",
            "CPU",
            "CPU/REQ",
            "CPU/LIM",
            "MEM",
            "MEM/REQ",
            "MEM/LIM",
            "THROTTLED",
            "RESTARTS",
            "OOM"
        ]
    );
    assert_eq!(
        lines[1],
        [
            "shop",
            "shop-mailer-5c8f7d9b64-h4t6z",
            "mailer",
            "201m",
            "200%",
            "100%",
            "10Mi",
            "-",
            "16%",
            "75%",
            "3",
            "1"
        ]
    );
    assert_eq!(lines[3][..4], ["-", "6a2f", "0123456789ab", "-"]);
    assert!(!text.contains('\u{1b}'), "no colours unless asked for");
}

#[test]
fn narrow_terminal_shortens_the_pods_names_only() {
    let table = Table::new(&sorted(Sort::Cpu));
    let text = table.render(Some(115), true);
    assert!(
        text.contains("mailer")
            && text.contains('…')
            && !text.contains("shop-mailer-5c8f7d9b64-h4t6z"),
        "{text}"
    );
    let plain = table.render(Some(115), false);
    assert!(plain.lines().all(|line| line.chars().count() <= 115), "{plain}");
}

#[test]
fn nothing_to_show_is_said() {
    assert_eq!(Table::new(&[]).render(None, false), "The agent sees no containers on its node.\n");
}

#[test]
fn units_round_as_kubectl_does() {
    assert_eq!(
        (cpu(0.0001), cpu(0.0), cpu(1.5)),
        ("1m".to_owned(), "0m".to_owned(), "1500m".to_owned())
    );
    assert_eq!(memory(1_572_864.0), "1Mi");
}

#[tokio::test]
async fn no_agent_is_said_with_the_fix() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", taken.local_addr().unwrap()).parse().unwrap();
    drop(taken);
    let text = format!("{:#}", ask::containers(&url, &Entry::default()).await.unwrap_err());
    assert!(text.contains("no agent answers on") && text.contains("--url"), "{text}");
}
