//! The roles as Helm renders them: what the program asks for, and enough for all that it does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use collector::api::rights::{Need, Role, Rule};
use serde_json::Value;

use crate::cluster::page::Page;
use crate::cluster::wait;
use crate::install::reader::reader;
use crate::install::release::{Release, SOON};
use crate::install::suite::Suite;
use crate::install::workload::{self, POD};

/// An Ingress that is never right, so that there is an Event to write.
const BROKEN: &str = include_str!("../manifests/broken.yaml");
/// What is written to the status of Ingresses.
const ADDRESS: &str = "192.0.2.1";

type Rights = BTreeSet<[String; 3]>;

pub(crate) fn rendered_roles_are_what_the_program_asks_for(suite: &Suite) {
    let mut granted: Vec<Rights> = vec![Rights::new(); Role::ALL.len()];
    let values = suite.tools.repository.join("tests/chart/values");
    for file in fs::read_dir(&values).expect("values").flatten() {
        for (role, rights) in rendered(suite, &file.path()) {
            let most = asked(role);
            assert!(
                rights.is_subset(&most),
                "{}: {role:?} grants {rights:?}",
                file.path().display()
            );
            granted[role as usize].extend(rights);
        }
    }
    for role in Role::ALL {
        assert_eq!(granted[role as usize], asked(role), "{role:?}");
    }
}

fn asked(role: Role) -> Rights {
    let rules = Need::all().map(Need::rule).filter(|rule| rule.role == role);
    let each = |Rule { group, resource, verbs, .. }: Rule| {
        verbs.iter().map(move |verb| [group, resource, verb].map(str::to_owned))
    };
    rules.flat_map(each).collect()
}

/// The roles that Podmeter itself is bound to.
fn rendered(suite: &Suite, values: &Path) -> Vec<(Role, Rights)> {
    let namespace = values.file_stem().filter(|stem| *stem == "kube-system");
    let namespace = namespace.map_or("podmeter", |_| "kube-system");
    let chart = suite.tools.repository.join("deploy/chart");
    let [chart, values] = [&chart, values].map(|path| path.to_str().expect("a path in UTF-8"));
    let words = ["template", "podmeter", chart, "--namespace", namespace, "--values", values];
    let text = suite.tools.helm(&suite.tool().kubeconfig, &words, "");
    let text = text.unwrap_or_else(|error| panic!("{error}"));
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    let name = |it: &Value| it["metadata"]["name"].as_str().expect("a name").to_owned();
    let set = objects.iter().find(|it| it["kind"] == "DaemonSet").expect("a DaemonSet");
    let own = name(set);
    let role = |it: &Value| {
        let name = name(it);
        let suffix = name.strip_prefix(&own)?;
        let role = match it["kind"].as_str()? {
            "ClusterRole" => Role::ALL.into_iter().find(|role| role.suffix() == suffix),
            // Secrets one by one, in their namespaces.
            "Role" if suffix == "-proxy-secrets" => Some(Role::Proxy),
            _ => return None,
        };
        // Readers of Podmeter are bound to this one.
        let is_readers = suffix == "-metrics-reader";
        assert!(role.is_some() || is_readers, "{name} is no role of any part");
        Some((role?, rights(&it["rules"])))
    };
    objects.iter().filter_map(role).collect()
}

fn rights(rules: &Value) -> Rights {
    let words = |rule: &Value, field: &str| -> Vec<String> {
        let words = rule[field].as_array().into_iter().flatten();
        words.map(|word| word.as_str().expect("a word").to_owned()).collect()
    };
    let mut found = Rights::new();
    for rule in rules.as_array().expect("rules") {
        for group in words(rule, "apiGroups") {
            for resource in words(rule, "resources") {
                let each = words(rule, "verbs").into_iter();
                found.extend(each.map(|verb| [group.clone(), resource.clone(), verb]));
            }
        }
    }
    found
}

pub(crate) fn rendered_roles_are_enough(suite: &Suite) {
    let release = Release::planned(suite, "rights");
    let class = format!("{{name: {}}}", release.name);
    let drain = "{delay: 1s, timeout: 1s}";
    release.helm(
        "install",
        &format!(
            "proxy: {{enabled: true, ingressClass: {class}, publishAddress: [{ADDRESS}]}}\n\
             config: {{interval: 1s, labels: {{namespace: [team]}}, proxy: {{drain: {drain}}}}}\n\
             podEvents: [stuck, memory, throttling]"
        ),
    );
    release.ready();
    checked(&release);
    workload::start(&release);
    release.apply(BROKEN);
    wait::until("the address is in the Ingress' status", SOON, || {
        let ingress = release.tool().object(&["-n", &release.name, "ingress", POD])?;
        let written =
            ingress["status"]["loadBalancer"]["ingress"][0]["ip"].as_str() == Some(ADDRESS);
        written.then_some(())
    });
    wait::until("an Event on the broken Ingress", SOON, || {
        let words =
            ["-n", &release.name, "events", "--field-selector", "involvedObject.name=broken"];
        let events = release.tool().object(&words)?;
        let mut events = events["items"].as_array()?.iter();
        events.find(|it| it["reportingComponent"] == "podmeter.io/proxy").map(drop)
    });
    let token = reader(&release, "watcher");
    let page = Page::strict(&release.get("/metrics", Some(&token)).body);
    let page = page.unwrap_or_else(|fault| panic!("{fault}"));
    let refused = page.value("podmeter_watch_failures_total", &[("kind", "forbidden")]);
    assert_eq!(refused, Some(0.0), "{}", release.log());
    for word in ["refuses", "forbidden", "grant ", "HTTP 403"] {
        assert!(!release.log().contains(word), "{}", release.log());
    }
}

/// `podmeter check` in the pod has no complaint about a right.
fn checked(release: &Release<'_>) {
    let pod = release.pod()["metadata"]["name"].as_str().expect("a name").to_owned();
    let mut kubectl = Command::new(&release.tool().kubectl);
    kubectl.arg("--kubeconfig").arg(&release.tool().kubeconfig);
    kubectl.args(["-n", &release.name, "exec", &pod, "--", "/podmeter", "check"]);
    kubectl.args(["--listen", "127.0.0.1:0", "-o", "json"]);
    // The proxy's ports are taken, by itself; so the exit code says nothing here.
    let out = kubectl.output().expect("kubectl runs");
    let report: Value = serde_json::from_slice(&out.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&out.stderr));
    });
    let findings = report["findings"].as_array().expect("findings");
    let is_of_api = |it: &&Value| it["what"].as_str().is_some_and(|what| what.starts_with("api"));
    let of_api: Vec<_> = findings.iter().filter(is_of_api).collect();
    assert!(of_api.len() >= 16, "{of_api:#?}");
    for finding in of_api {
        assert_eq!(finding["state"], "ok", "{finding}");
    }
}
