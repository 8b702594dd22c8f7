//! The proxy before pods of the cluster. What its cases have in common: an application, and a way to it.

pub(crate) mod certificates;
pub(crate) mod classes;
pub(crate) mod faults;
pub(crate) mod revocation;
pub(crate) mod rights;
pub(crate) mod rollout;
pub(crate) mod services;
pub(crate) mod traffic;

use std::fs;

use serde_json::{Value, json};

use crate::cluster::agent::Agent;
use crate::cluster::authority::Pair;
use crate::cluster::client::Target;
use crate::cluster::suite::{START, Suite};
use crate::cluster::wait;

const APP: &str = include_str!("../manifests/app.yaml");
const SERVICE: &str = include_str!("../manifests/service.yaml");
const INGRESS: &str = include_str!("../manifests/ingress.yaml");
/// What `kubectl rollout status` may take.
const PATIENCE: &str = "--timeout=90s";

/// A Deployment.
#[derive(Clone, Copy)]
struct App<'a> {
    name: &'a str,
    /// What Services select.
    group: &'a str,
    version: &'a str,
    replicas: u32,
    /// Milliseconds that an answer takes.
    delay: u32,
    ends: Ends,
}

/// How a pod ends.
#[derive(Clone, Copy)]
enum Ends {
    /// As the Kubernetes documentation has it: a `preStop` pause of so many seconds, in which whoever sends requests hears of
    /// it, and then the application answers what it has.
    AfterPause(u32),
    /// The application answers what it has and closes its idle connections with the first signal.
    WithTheSignal,
    /// busybox' httpd: it dies with the first signal and whatever it has.
    AtOnce,
}

impl App<'_> {
    /// Makes it and waits until its pods are ready.
    fn deploy(&self, suite: &Suite) {
        let pause;
        let (command, lifecycle) = match self.ends {
            Ends::AfterPause(seconds) => {
                pause = json!({"preStop": {"exec": {"command": ["sleep", seconds.to_string()]}}})
                    .to_string();
                ("[/app]", pause.as_str())
            }
            Ends::WithTheSignal => ("[/app]", "{}"),
            Ends::AtOnce => (
                r#"[sh, -c, "mkdir /tmp/www; hostname > /tmp/www/index.html; trap 'kill $!; exit' TERM; httpd -f -p 8080 -h /tmp/www & wait"]"#,
                "{}",
            ),
        };
        let manifest = APP
            .replace("WHAT", self.name)
            .replace("GROUP", self.group)
            .replace("VERSION", self.version)
            .replace("REPLICAS", &self.replicas.to_string())
            .replace("DELAY", &self.delay.to_string())
            .replace("COMMAND", command)
            .replace("LIFECYCLE", lifecycle);
        suite.apply(&manifest);
        self.settled(suite);
    }

    /// Waits until all its pods are of the last version and ready.
    fn settled(&self, suite: &Suite) {
        suite.kubectl(&["rollout", "status", &self.path(), PATIENCE]);
    }

    fn path(&self) -> String {
        format!("deployment/{}", self.name)
    }

    /// Its pods as the API server has them.
    fn pods(&self, suite: &Suite) -> Vec<Value> {
        let selector = format!("name={}", self.name);
        let list =
            suite.tool().object(&["-n", &suite.namespace.name, "pods", "-l", selector.as_str()]);
        list.and_then(|list| list["items"].as_array().cloned()).unwrap_or_default()
    }
}

/// One pod that several cases send requests to, behind a Service of the same name.
fn common(suite: &Suite) -> &'static str {
    let name = "common";
    let ends = Ends::AfterPause(2);
    let app = App { name, group: name, version: "one", replicas: 1, delay: 1, ends };
    app.deploy(suite);
    suite.apply(&service(name, name, "web"));
    name
}

/// A Service for a group's pods.
fn service(name: &str, group: &str, target: &str) -> String {
    SERVICE.replace("WHAT", name).replace("GROUP", group).replace("TARGET", target)
}

/// An Ingress of the suite's own class, from a host to the Service of this name.
fn ingress(name: &str, host: &str) -> String {
    INGRESS.replace("WHAT", name).replace("HOST", host)
}

/// An Ingress with this spec.
fn ingress_of(name: &str, annotations: &Value, spec: &Value) -> String {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "annotations": annotations}, "spec": spec,
    })
    .to_string()
}

/// A rule that sends a host's paths to a Service's port `http`.
fn rule(host: &str, service: &str) -> Value {
    json!({"host": host, "http": {"paths": [path("/", service)]}})
}

fn path(path: &str, service: &str) -> Value {
    let service = json!({"name": service, "port": {"name": "http"}});
    json!({"path": path, "pathType": "Prefix", "backend": {"service": service}})
}

/// A Secret as Ingresses name them.
fn secret(name: &str, pair: &Pair) -> String {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": name}, "stringData": {"tls.crt": pair.chain, "tls.key": pair.key},
    })
    .to_string()
}

/// Another agent, with the documented rights and this section `proxy`.
fn agent(suite: &Suite, name: &str, proxy: &Value) -> Agent {
    agent_of(suite, name, proxy, &suite.rights)
}

fn agent_of(suite: &Suite, name: &str, proxy: &Value, kubeconfig: &std::path::Path) -> Agent {
    let mut proxy = proxy.clone();
    proxy["listen"] = json!(["127.0.0.1:0"]);
    proxy["listen_tls"] = json!(["127.0.0.1:0"]);
    proxy["drain"] = json!({"delay": "0s", "timeout": "5s"});
    let file = suite.scratch.path().join(format!("{name}.yaml"));
    // JSON is YAML.
    fs::write(&file, json!({"proxy": proxy}).to_string()).expect("it can be written");
    let agent = Agent::proxying(kubeconfig, &file);
    agent.ready();
    agent
}

/// Asks until this is the answer's status; the rest of it is the answer's.
fn until_status(target: &Target, path: &str, status: u16) -> crate::cluster::client::Answer {
    let mut last = None;
    let what = format!("{status} from {}{path}", target.host);
    wait::until(&what, START, || {
        let outcome = target.get(path);
        let is_it = outcome.as_ref().is_ok_and(|answer| answer.status == status);
        last = Some(outcome);
        is_it.then_some(())
    });
    last.expect("it was asked").expect("it answered")
}

/// The reasons of an Ingress' faults on the agent's page, in order.
fn faults(agent: &Agent, ingress: &str) -> Vec<String> {
    let page = agent.scrape().expect("a page");
    let of_it = [("ingress", ingress)];
    let all = page.all("podmeter_proxy_route_faults", &of_it);
    let mut reasons: Vec<_> = all.map(|series| series.label("reason").to_owned()).collect();
    reasons.sort();
    reasons
}

/// Waits until these are the faults; a page may be a second old.
fn until_faults(agent: &Agent, ingress: &str, reasons: &[&str]) {
    wait::until(&format!("{ingress} to have the faults {reasons:?}"), START, || {
        (faults(agent, ingress) == reasons).then_some(())
    });
}
