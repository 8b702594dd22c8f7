//! One Podmeter, installed in a namespace of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cluster::client::{Answer, Target};
use crate::cluster::tool::Tool;
use crate::cluster::wait;
use crate::install::suite::{REPOSITORY, Suite, TAG};

/// Longest wait for what takes a few seconds on a cluster that is not busy.
pub(crate) const SOON: Duration = Duration::from_secs(60);
/// Longest time from the installation until every pod is ready.
pub(crate) const READY: Duration = Duration::from_secs(20);
/// Longest wait for an answer of a pod that answers.
const ANSWER: Duration = Duration::from_secs(5);

/// An installation; taken away with the value, where the case has not done so.
pub(crate) struct Release<'s> {
    suite: &'s Suite,
    /// The namespace's name, and that of all objects.
    pub(crate) name: String,
    /// The rendered manifests, where it is not Helm's.
    manifests: Option<PathBuf>,
}

impl<'s> Release<'s> {
    /// A namespace with nothing in it yet.
    pub(crate) fn planned(suite: &'s Suite, what: &str) -> Self {
        let name = format!("podmeter-{what}-{}", std::process::id());
        suite.tool().kubectl(&["create", "namespace", &name]);
        Self { suite, name, manifests: None }
    }

    /// By Helm, with these values beside the image, and ready.
    pub(crate) fn by_helm(suite: &'s Suite, what: &str, values: &str) -> Self {
        let release = Self::planned(suite, what);
        release.helm("install", values);
        release.ready();
        release
    }

    /// `helm install` or `helm upgrade`.
    pub(crate) fn helm(&self, word: &str, values: &str) {
        let image = format!("{{repository: {REPOSITORY}, tag: {TAG}, pullPolicy: Never}}");
        let values = format!("image: {image}\n{values}\n");
        let chart = self.suite.tools.repository.join("deploy/chart");
        let chart = chart.to_str().expect("a path in UTF-8");
        let words = [word, &self.name, chart, "--namespace", &self.name, "--values", "-"];
        self.said_by_helm(&words, &values);
    }

    /// By `kubectl apply` of what kustomize makes of `deploy/`, with the image set and names of its own.
    pub(crate) fn by_manifests(suite: &'s Suite, what: &str) -> Self {
        let name = format!("podmeter-{what}-{}", std::process::id());
        let folder = suite.scratch.path().join(what);
        fs::create_dir_all(&folder).expect("a folder");
        // kustomize takes no folder by an absolute path.
        let up = "../".repeat(folder.components().count() - 1);
        let deploy = suite.tools.repository.join("deploy");
        let deploy = format!("{up}{}", deploy.strip_prefix("/").expect("it is absolute").display());
        let overlay = format!(
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: {name}\n\
             nameSuffix: {}\nresources: [{deploy}]\n\
             images: [{{name: podmeter, newName: {REPOSITORY}, newTag: {TAG}}}]\n",
            name.strip_prefix("podmeter").expect("it begins so"),
        );
        fs::write(folder.join("kustomization.yaml"), overlay).expect("it can be written");
        let rendered = suite.tools.kustomize(&folder).unwrap_or_else(|error| panic!("{error}"));
        let manifests = folder.join("rendered.yaml");
        fs::write(&manifests, rendered).expect("it can be written");
        let file = manifests.to_str().expect("a path in UTF-8").to_owned();
        suite.tool().kubectl(&["apply", "-f", &file]);
        Self { suite, name, manifests: Some(manifests) }
    }

    /// The cluster's tool.
    pub(crate) fn tool(&self) -> &'s Tool {
        self.suite.tool()
    }

    /// kubectl in this namespace.
    pub(crate) fn kubectl(&self, words: &[&str]) -> String {
        self.tool().kubectl(&[&["-n", &self.name], words].concat())
    }

    /// Applies a manifest here; `NAMESPACE` in it is this one's name.
    pub(crate) fn apply(&self, manifest: &str) {
        self.tool().apply(&self.name, &manifest.replace("NAMESPACE", &self.name));
    }

    /// Waits until every pod of the present version is ready.
    pub(crate) fn ready(&self) -> Duration {
        let began = Instant::now();
        wait::until(&format!("{} is ready", self.name), SOON, || {
            let set = self.daemonset();
            let (status, number) = (&set["status"], |value: &Value| value.as_i64());
            let wanted = number(&status["desiredNumberScheduled"]).filter(|wanted| *wanted > 0)?;
            let is_seen = status["observedGeneration"] == set["metadata"]["generation"];
            let is_new = number(&status["updatedNumberScheduled"]) == Some(wanted);
            let is_ready = number(&status["numberReady"]) == Some(wanted);
            (is_seen && is_new && is_ready).then_some(())
        });
        began.elapsed()
    }

    fn daemonset(&self) -> Value {
        self.tool().object(&["-n", &self.name, "daemonset", &self.name]).expect("there is one")
    }

    /// Its pod: there is one node.
    pub(crate) fn pod(&self) -> Value {
        let selector = "app.kubernetes.io/name=podmeter";
        let pods = self.tool().object(&["-n", &self.name, "pods", "-l", selector]);
        let pods = pods.expect("a list");
        let pods = pods["items"].as_array().expect("a list");
        assert_eq!(pods.len(), 1, "{pods:?}");
        pods[0].clone()
    }

    /// The pods' sockets, as the Service names them.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let Some(endpoints) = self.tool().object(&["-n", &self.name, "endpoints", &self.name])
        else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for subset in endpoints["subsets"].as_array().into_iter().flatten() {
            let ports = subset["ports"].as_array().into_iter().flatten();
            let mut ports = ports.filter(|port| port["name"] == "metrics");
            let port = ports.next().and_then(|port| port["port"].as_u64()).expect("its port");
            for list in ["addresses", "notReadyAddresses"] {
                for address in subset[list].as_array().into_iter().flatten() {
                    let address = address["ip"].as_str().expect("an address");
                    found.push(format!("{address}:{port}").parse().expect("an address"));
                }
            }
        }
        found
    }

    /// Where the Service leads to, which is one pod.
    pub(crate) fn target(&self, bearer: Option<&str>) -> Target {
        let address = wait::until("an address behind the Service", SOON, || {
            self.addresses().first().copied()
        });
        let bearer = bearer.map(str::to_owned);
        Target { bearer, patience: ANSWER, ..Target::plain(address, &self.name) }
    }

    /// Asks it for a path.
    pub(crate) fn get(&self, path: &str, bearer: Option<&str>) -> Answer {
        self.target(bearer).get(path).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// What its containers log.
    pub(crate) fn log(&self) -> String {
        self.kubectl(&["logs", "-l", "app.kubernetes.io/name=podmeter", "--tail=-1"])
    }

    /// Takes it away, the namespace excepted where that is not its own.
    pub(crate) fn uninstall(&self) {
        match &self.manifests {
            Some(file) => {
                let file = file.to_str().expect("a path in UTF-8");
                drop(self.tool().kubectl(&["delete", "-f", file]));
            }
            None => self.said_by_helm(&["uninstall", &self.name, "--namespace", &self.name], ""),
        }
    }

    fn said_by_helm(&self, words: &[&str], values: &str) {
        let kubeconfig = &self.tool().kubeconfig;
        let done = self.suite.tools.helm(kubeconfig, words, values);
        done.unwrap_or_else(|error| panic!("{error}"));
    }
}

impl Drop for Release<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let selector = ["-n", &self.name, "logs", "-l", "app.kubernetes.io/name=podmeter"];
            let log = self.tool().try_kubectl(&selector).unwrap_or_default();
            eprintln!("install: {} logged:\n{log}", self.name);
        }
        let words = ["uninstall", &self.name, "--namespace", &self.name, "--ignore-not-found"];
        let _ = match &self.manifests {
            None => self.suite.tools.helm(&self.tool().kubeconfig, &words, ""),
            Some(file) => {
                let file = file.to_string_lossy();
                let words = ["delete", "--wait=false", "--ignore-not-found", "-f", &file];
                self.tool().try_kubectl(&words)
            }
        };
        // Nobody waits for what is left in it.
        let gone = ["delete", "namespace", &self.name, "--ignore-not-found", "--wait=false"];
        if let Err(error) = self.tool().try_kubectl(&gone) {
            eprintln!("install: namespace {} is left: {error}", self.name);
        }
    }
}
