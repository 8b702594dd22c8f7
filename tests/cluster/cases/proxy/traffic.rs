//! Requests under the names of the pods that answered them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::{App, Ends, ingress_of, rule, secret, service};
use crate::cluster::authority::Authority;
use crate::cluster::load::{Load, Traffic};
use crate::cluster::page::{Page, Series};
use crate::cluster::suite::{SOON, START, Suite};
use crate::cluster::wait;

const OF_PODS: &str = "http_client_request_duration_seconds";
const OF_ROUTES: &str = "http_server_request_duration_seconds_count";
/// Requests that are measured.
const REQUESTS: u64 = 600;
const STABLE: App<'static> = App {
    name: "shop-stable",
    group: "shop",
    version: "stable",
    replicas: 2,
    delay: 5,
    ends: Ends::AfterPause(2),
};
const CANARY: App<'static> =
    App { name: "shop-canary", version: "canary", replicas: 1, delay: 60, ..STABLE };

pub(crate) fn proxy_counts_each_request_under_the_pod_that_answered_it(suite: &Suite) {
    let _steady = suite.steady();
    let authority = Authority::new("shop");
    STABLE.deploy(suite);
    CANARY.deploy(suite);
    suite.apply(&service("shop", "shop", "web"));
    suite.apply(&secret("shop-tls", &authority.host("shop.test")));
    let spec = json!({
        "ingressClassName": suite.namespace.name,
        "tls": [{"hosts": ["shop.test"], "secretName": "shop-tls"}],
        "rules": [rule("shop.test", "shop")],
    });
    suite.apply(&ingress_of("shop", &json!({}), &spec));
    let pods: Vec<Value> = [STABLE, CANARY].iter().flat_map(|app| app.pods(suite)).collect();
    assert_eq!(pods.len(), 3);

    let target = suite.agent.https("shop.test", authority.trusted(None));
    let mut by_pod: BTreeMap<String, u64> = BTreeMap::new();
    let mut total = 0;
    wait::until("an answer of each pod", START, || {
        if let Ok(answer) = target.get("/")
            && answer.status == 200
        {
            *by_pod.entry(answer.pod().to_owned()).or_default() += 1;
            total += 1;
        }
        (by_pod.len() == 3).then_some(())
    });
    let traffic = Traffic { clients: 6, every: Duration::from_millis(30), posts: 4 };
    let load = Load::start(&target, traffic);
    wait::until("all requests", START, || (load.sent() >= REQUESTS).then_some(()));
    let report = load.finish();
    eprintln!("cluster: two versions: {}", report.line());
    assert_eq!(report.failed, 0, "{:?}", report.failures);
    assert_eq!(report.connections, traffic.clients, "they keep their connections");
    total += report.sent;
    for (pod, count) in report.by_pod {
        *by_pod.entry(pod).or_default() += count;
    }

    let count = format!("{OF_PODS}_count");
    let page = suite.recorder.until("all of them to be counted, each by its pod", SOON, |page| {
        let is_counted = |(pod, sent): (&String, &u64)| {
            sum(page, &count, &[("pod", pod.as_str())]) == *sent as f64
        };
        by_pod.iter().all(is_counted).then(|| page.clone())
    });
    let posts = sum(&page, &count, &[("label_app", "shop"), ("http_request_method", "POST")]);
    assert_eq!(posts, report.posts as f64);
    let route = [("route", "shop"), ("namespace", suite.namespace.name.as_str())];
    let answered = [route[0], route[1], ("http_response_status_code", "200")];
    assert_eq!(sum(&page, OF_ROUTES, &answered), total as f64);
    for series in page.all(OF_ROUTES, &route) {
        let told = ["server_address", "http_route", "node"].map(|name| series.label(name));
        assert_eq!(told, ["shop.test", "/", "node1"]);
    }
    for pod in &pods {
        labelled(&page, pod);
    }
    apart(&page);
}

/// Every series of the proxy's about this pod has exactly what the pod has.
fn labelled(page: &Page, pod: &Value) {
    let (metadata, name) = (&pod["metadata"], pod["metadata"]["name"].as_str().expect("a name"));
    let is_the_proxys = |series: &&Series| {
        series.label("pod") == name
            && (series.name.starts_with("http_client_")
                || series.name.starts_with("podmeter_http_backend_"))
    };
    let all: Vec<_> = page.series.iter().filter(is_the_proxys).collect();
    assert!(all.len() > 20, "{} series of {name}", all.len());
    let labels = metadata["labels"].as_object().expect("it has labels");
    let mut own: BTreeMap<String, &str> = labels
        .iter()
        .filter(|(key, _)| *key != "pod-template-hash")
        .map(|(key, value)| (format!("label_{key}"), value.as_str().expect("a text")))
        .collect();
    own.insert("namespace".to_owned(), metadata["namespace"].as_str().expect("a text"));
    own.insert("node".to_owned(), pod["spec"]["nodeName"].as_str().expect("it is placed"));
    own.insert("proxy_node".to_owned(), "node1");
    own.insert("pod".to_owned(), name);
    own.insert("workload".to_owned(), labels["name"].as_str().expect("a text"));
    own.insert("workload_kind".to_owned(), "Deployment");
    let of_the_request =
        ["http_request_method", "http_response_status_code", "http_route", "le", "error_type"];
    for series in all {
        let told: BTreeMap<String, &str> = series
            .labels
            .iter()
            .filter(|(name, _)| !of_the_request.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.as_str()))
            .collect();
        assert_eq!(told, own, "{series:?}");
        assert_eq!(series.label("error_type"), "", "nothing failed: {series:?}");
    }
}

/// The versions take as long as they were made to.
fn apart(page: &Page) {
    let average = |version: &str| {
        let labels = [("label_app", "shop"), ("label_version", version)];
        sum(page, &format!("{OF_PODS}_sum"), &labels)
            / sum(page, &format!("{OF_PODS}_count"), &labels)
    };
    let (stable, canary) = (average("stable"), average("canary"));
    eprintln!("cluster: stable {:.1} ms, canary {:.1} ms", stable * 1e3, canary * 1e3);
    assert!(stable >= 0.005 && canary >= 0.060, "{stable} s and {canary} s");
    assert!(canary > stable, "{stable} s and {canary} s");
}

fn sum(page: &Page, name: &str, labels: &[(&str, &str)]) -> f64 {
    page.all(name, labels).map(|series| series.value).sum()
}
