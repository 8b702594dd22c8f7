//! Services: no pod, pods again, named ports, shared pods.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{App, Ends, ingress, ingress_of, service, until_status};
use crate::cluster::suite::{SOON, START, Suite};
use crate::cluster::wait;

/// From a pod being ready until it gets requests; most of it is the Endpoints' controller.
const QUICKLY: Duration = Duration::from_secs(5);

pub(crate) fn proxy_says_to_come_back_while_there_is_no_pod(suite: &Suite) {
    let _steady = suite.steady();
    // Long enough to look at it.
    let ends = Ends::AfterPause(6);
    let app = App { name: "scaled", group: "scaled", version: "one", replicas: 1, delay: 1, ends };
    app.deploy(suite);
    suite.apply(&service("scaled", "scaled", "web"));
    suite.apply(&ingress("scaled", "scaled.test"));
    let target = suite.agent.http("scaled.test");
    until_status(&target, "/", 200);

    suite.kubectl(&["scale", &app.path(), "--replicas=0"]);
    // The pod is about to end and stands in no Endpoints any more, but it still answers.
    wait::until("the Endpoints to be empty", START, || {
        let endpoints =
            suite.tool().object(&["-n", &suite.namespace.name, "endpoints", "scaled"])?;
        endpoints["subsets"][0]["addresses"].is_null().then_some(())
    });
    assert_eq!(target.get("/").expect("an answer").status, 200, "there is no other pod");
    let answer = until_status(&target, "/", 503);
    assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
    assert_eq!(answer.header("podmeter-reason"), Some("no_endpoint"), "{answer:?}");

    suite.kubectl(&["scale", &app.path(), "--replicas=1"]);
    app.settled(suite);
    let ready = Instant::now();
    until_status(&target, "/", 200);
    let took = ready.elapsed();
    eprintln!("cluster: scaled up: 200 {took:.2?} after the Deployment was available");
    assert!(took < QUICKLY, "{took:?}");
}

pub(crate) fn proxy_finds_named_ports_and_counts_shared_pods_once(suite: &Suite) {
    let _steady = suite.steady();
    let ends = Ends::AfterPause(2);
    let app = App { name: "shared", group: "shared", version: "one", replicas: 2, delay: 1, ends };
    app.deploy(suite);
    // The first by the pods' name of the port, the second by its number.
    suite.apply(&service("shared-web", "shared", "web"));
    suite.apply(&service("shared-admin", "shared", "9090"));
    let path = |path: &str, service: &str, port: serde_json::Value| {
        let service = json!({"name": service, "port": port});
        json!({"path": path, "pathType": "Prefix", "backend": {"service": service}})
    };
    let paths = [
        path("/", "shared-web", json!({"name": "http"})),
        path("/admin", "shared-admin", json!({"number": 80})),
    ];
    let rules = json!([{"host": "shared.test", "http": {"paths": paths}}]);
    let spec = json!({"ingressClassName": suite.namespace.name, "rules": rules});
    suite.apply(&ingress_of("shared", &json!({}), &spec));
    let target = suite.agent.http("shared.test");
    until_status(&target, "/", 200);
    until_status(&target, "/admin", 200);

    // One request at a time goes to the faster of the two pods, so that the other's turn may be long in coming.
    let (mut client, mut pods, mut asked) = (target.client(), BTreeSet::new(), 0.0);
    while pods.len() < 4 && asked < 10_000.0 {
        for (path, port) in [("/", "8080"), ("/admin", "9090")] {
            let answer = client.get(path).expect("an answer");
            assert_eq!(answer.status, 200);
            assert_eq!(answer.body.split_whitespace().nth(1), Some(port), "{}", answer.body);
            pods.insert((answer.pod().to_owned(), path));
            asked += 1.0;
        }
    }
    assert_eq!(pods.len(), 4, "two pods by two ports: {pods:?}");
    let count = "http_client_request_duration_seconds_count";
    suite.recorder.until("one series for each pod and path", SOON, |page| {
        let all: Vec<_> = page.all(count, &[("label_app", "shared")]).collect();
        let sum: f64 = all.iter().map(|series| series.value).sum();
        // Two before the loop.
        (all.len() == 4 && sum == asked + 2.0).then_some(())
    });
    let page = suite.recorder.now();
    for app in app.pods(suite) {
        let pod = app["metadata"]["name"].as_str().expect("a name");
        for name in ["http_client_active_requests", "podmeter_http_backend_response_bytes_total"] {
            assert!(page.one(name, &[("pod", pod)]).is_some(), "no {name} of {pod}");
        }
    }
}
