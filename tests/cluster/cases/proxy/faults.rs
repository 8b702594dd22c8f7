//! Ingresses that cannot be used, beside ones that can.

use serde_json::{Value, json};

use super::{common, ingress_of, path, rule, secret, service, until_faults, until_status};
use crate::cluster::authority::Authority;
use crate::cluster::suite::{START, Suite};
use crate::cluster::wait;

pub(crate) fn proxy_serves_on_beside_a_bad_ingress_and_says_what_is_wrong(suite: &Suite) {
    let _steady = suite.steady();
    let common = common(suite);
    let class = &suite.namespace.name;
    let good = json!({"ingressClassName": class, "rules": [rule("good.test", common)]});
    suite.apply(&ingress_of("good", &json!({}), &good));
    let [good, bad] = ["good.test", "bad.test"].map(|host| suite.agent.http(host));
    until_status(&good, "/", 200);

    let broken = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "bad-tls"}, "stringData": {"tls.crt": "no PEM", "tls.key": "no PEM"},
    });
    suite.apply(&broken.to_string());
    let bad_ingress = |pattern: &str| {
        let mut regex = path(pattern, common);
        regex["pathType"] = json!("ImplementationSpecific");
        let paths = [path("/fine", common), path("/missing", "missing"), regex];
        let spec = json!({
            "ingressClassName": class,
            "tls": [{"hosts": ["bad.test"], "secretName": "bad-tls"}],
            "rules": [{"host": "bad.test", "http": {"paths": paths}}],
        });
        ingress_of("bad", &json!({"podmeter.io/use-regex": "true"}), &spec)
    };
    suite.apply(&bad_ingress("/odd("));
    let is_bad = ["certificate_malformed", "regex", "service_missing"];
    until_faults(&suite.agent, "bad", &is_bad);
    until_status(&bad, "/fine", 200);
    let missing = until_status(&bad, "/missing", 503);
    assert_eq!(missing.header("retry-after"), Some("1"), "{missing:?}");
    assert_eq!(bad.get("/odd").expect("an answer").status, 404);
    assert_eq!(good.get("/").expect("an answer").status, 200);
    told(suite);

    // Each is mended by itself, and the fault goes with it.
    suite.apply(&service("missing", common, "web"));
    until_status(&bad, "/missing", 200);
    until_faults(&suite.agent, "bad", &["certificate_malformed", "regex"]);
    suite.apply(&bad_ingress("/odd(ly)?"));
    until_status(&bad, "/oddly", 200);
    until_faults(&suite.agent, "bad", &["certificate_malformed"]);
    let authority = Authority::new("mended");
    suite.apply(&secret("bad-tls", &authority.host("bad.test")));
    let secure = suite.agent.https("bad.test", authority.trusted(None));
    until_status(&secure, "/fine", 200);
    until_faults(&suite.agent, "bad", &[]);
    assert_eq!(good.get("/").expect("an answer").status, 200);
}

/// Each fault is an Event where `kubectl describe ingress` shows it.
fn told(suite: &Suite) {
    let reasons = ["RouteRefused", "CertificateRefused", "ServiceRefused"];
    let of_bad = "involvedObject.kind=Ingress,involvedObject.name=bad";
    // Nodes spread what all of them would write.
    let events = wait::until("Events on the Ingress", 3 * START, || {
        let list = suite.kubectl(&["get", "events", "--field-selector", of_bad, "-o", "json"]);
        let list: Value = serde_json::from_str(&list).ok()?;
        let events = list["items"].as_array()?.clone();
        let has = |reason: &&str| events.iter().any(|event| event["reason"] == **reason);
        reasons.iter().all(has).then_some(events)
    });
    for event in &events {
        assert_eq!(event["type"], "Warning", "{event}");
        assert_eq!(event["reportingComponent"], "podmeter.io/proxy", "{event}");
    }
    let described = suite.kubectl(&["describe", "ingress", "bad"]);
    for wanted in reasons.into_iter().chain(["there is no Service missing", "(regex)"]) {
        assert!(described.contains(wanted), "nothing on {wanted}: {described}");
    }
}
