//! What `podmeter check` says of the proxy.

use std::fs;
use std::net::TcpListener;

use agent::apiserver::{Fault, On, Verb};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::{Value, json};

use super::check::Cluster;

const INGRESS: &str = "proxy:\n  listen: [\"127.0.0.1:0\"]\n  ingress_class: podmeter\n";

/// State, text and fix of each finding about the proxy, with the proxy configured so.
fn findings(cluster: &Cluster, config: &str) -> (Option<i32>, Vec<[String; 4]>) {
    let file = cluster.root.path().join("podmeter.yaml");
    fs::write(&file, config).unwrap();
    let (code, text) = cluster.check(&["-o", "json", "--config", file.to_str().unwrap()]);
    let document = text.split("\nerror: ").next().unwrap();
    let report: Value = serde_json::from_str(document).expect(&text);
    let findings = report["findings"].as_array().unwrap().iter().map(|finding| {
        ["what", "state", "says", "fix"]
            .map(|key| finding[key].as_str().unwrap_or_default().to_owned())
    });
    (code, findings.collect())
}

/// The only finding of that name whose text has `part`.
fn one(findings: &[[String; 4]], what: &str, part: &str) -> [String; 2] {
    let mut fitting = findings.iter().filter(|[is, _, says, _]| is == what && says.contains(part));
    let found = fitting.next().unwrap_or_else(|| panic!("no {what} with {part:?}: {findings:#?}"));
    assert!(fitting.next().is_none(), "{findings:#?}");
    [found[1].clone(), found[3].clone()]
}

fn ingress(name: &str, service: &str) -> Value {
    let backend = json!({"service": {"name": service, "port": {"number": 80}}});
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "namespace": "default", "uid": name},
        "spec": {"ingressClassName": "podmeter", "rules": [
            {"host": format!("{name}.example.com"), "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}},
        ]},
    })
}

/// A class, an Ingress and its Service with no pod behind it.
fn served(cluster: &Cluster) {
    cluster.server.apply(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "podmeter"},
        "spec": {"controller": "podmeter.io/proxy"},
    }));
    cluster.server.apply(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }));
    cluster.server.apply(ingress("web", "web"));
}

#[test]
fn routes_their_faults_and_services_without_pods_are_told_and_nothing_is_written() {
    let cluster = Cluster::start();
    served(&cluster);
    cluster.server.apply(ingress("lost", "nowhere"));
    let (code, findings) = findings(&cluster, INGRESS);
    assert_eq!(code, Some(0), "{findings:#?}");
    assert_eq!(one(&findings, "proxy routes", "0 of the file, 2 of Ingresses")[0], "ok");
    assert_eq!(
        one(&findings, "proxy routes", "default/lost: there is no Service nowhere")[0],
        "degraded"
    );
    let [state, fix] = one(&findings, "proxy service", "default/web:80 has no ready pod");
    assert_eq!(state, "degraded");
    assert!(fix.contains("get endpointslices"), "{fix}");
    for right in ["ingresses", "ingressclasses", "services", "endpointslices", "secrets"] {
        assert_eq!(one(&findings, &format!("api: list {right}"), "allowed")[0], "ok");
        assert_eq!(one(&findings, &format!("api: watch {right}"), "allowed")[0], "ok");
    }
    let requests = cluster.server.requests();
    assert!(requests.iter().all(|request| request.verb != Verb::Create), "{requests:?}");
}

#[test]
fn a_denied_right_is_told_with_what_is_lost_and_the_rule_that_gives_it() {
    let cluster = Cluster::start();
    served(&cluster);
    let on = On::request(Verb::List, "endpointslices");
    cluster.server.fault(on, usize::MAX, Fault::status(403));
    let (_, findings) = findings(&cluster, INGRESS);
    let [state, fix] = one(&findings, "api: list endpointslices", "its pods are not known");
    assert_eq!(state, "degraded");
    assert!(fix.contains("resources: [endpointslices]"), "{fix}");
    assert_eq!(one(&findings, "proxy routes", "not all are known")[0], "degraded");
}

#[test]
fn a_proxy_of_the_files_own_addresses_needs_no_rights() {
    let cluster = Cluster::start();
    let config = "proxy:
  listen: [\"127.0.0.1:0\"]
  services: [{name: web, endpoints: [\"127.0.0.1:1\"]}]
  routes: [{name: all, backends: [web]}]
";
    let (code, findings) = findings(&cluster, config);
    assert_eq!(code, Some(0), "{findings:#?}");
    assert_eq!(one(&findings, "proxy routes", "1 of the file")[0], "ok");
    assert!(!findings.iter().any(|[what, ..]| what.contains("services")), "{findings:#?}");
}

#[test]
fn certificates_that_end_or_cannot_be_used_are_told_by_their_file() {
    let cluster = Cluster::start();
    let path = |name: &str| cluster.root.path().join(name).to_str().unwrap().to_owned();
    let key = KeyPair::generate().unwrap();
    fs::write(path("key.pem"), key.serialize_pem()).unwrap();
    let mut ended = CertificateParams::new(["old.example.com".to_owned()]).unwrap();
    ended.not_before = date_time_ymd(2020, 1, 1);
    ended.not_after = date_time_ymd(2021, 1, 1);
    fs::write(path("old.pem"), ended.self_signed(&key).unwrap().pem()).unwrap();
    let good = CertificateParams::new(["good.example.com".to_owned()]).unwrap();
    fs::write(path("good.pem"), good.self_signed(&key).unwrap().pem()).unwrap();
    let config = |names: &[&str]| {
        let entry =
            |name: &&str| format!("{{certificate: {:?}, key: {:?}}}", path(name), path("key.pem"));
        let all: Vec<_> = names.iter().map(entry).collect();
        format!(
            "proxy:\n  listen_tls: [\"127.0.0.1:0\"]\n  tls: {{certificates: [{}]}}\n  routes: [{{name: a, redirect: {{host: b.example.com}}}}]\n",
            all.join(", ")
        )
    };
    let (code, told) = findings(&cluster, &config(&["good.pem", "old.pem"]));
    assert_eq!(code, Some(0), "{told:#?}");
    assert_eq!(one(&told, "proxy certificate", "old.pem: the certificate expired")[0], "degraded");
    assert_eq!(one(&told, "proxy certificate", "2 in all, the first ends at 2021-01-01")[0], "ok");

    fs::write(path("bad.pem"), "no certificate").unwrap();
    let (code, told) = findings(&cluster, &config(&["good.pem", "bad.pem"]));
    assert_eq!(code, Some(3), "{told:#?}");
    assert_eq!(
        one(&told, "proxy certificate", "bad.pem: the certificate chain holds none")[0],
        "failed"
    );
}

#[test]
fn a_taken_address_of_the_proxy_fails_with_its_key() {
    let cluster = Cluster::start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = format!(
        "proxy:\n  listen: [\"{address}\"]\n  routes: [{{name: a, redirect: {{host: b.example.com}}}}]\n"
    );
    let (code, findings) = findings(&cluster, &config);
    assert_eq!(code, Some(3));
    let [state, fix] = one(&findings, "proxy listen", "in use");
    assert_eq!(state, "failed");
    assert!(fix.contains("proxy.listen"), "{fix}");
}
