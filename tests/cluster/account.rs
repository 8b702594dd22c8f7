//! Service accounts, and the rights that the repository says an agent needs.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cluster::relay;
use crate::cluster::suite::START;
use crate::cluster::tool::Tool;
use crate::cluster::wait;

/// What every agent needs, with the account itself.
pub(crate) const RIGHTS: &str = include_str!("../../deploy/manifests/rbac.yaml");
/// What the proxy needs beside that.
pub(crate) const PROXY_RIGHTS: &str = include_str!("../../deploy/manifests/rbac-proxy.yaml");

/// What it needs to say why pods are stuck.
pub(crate) const DIAGNOSE_RIGHTS: &str = include_str!("../../deploy/manifests/rbac-diagnose.yaml");
/// What it needs to write Events on pods.
pub(crate) const EVENTS_RIGHTS: &str = include_str!("../../deploy/manifests/rbac-events.yaml");

/// Rights as the repository has them, for an account of this name, which all their objects are called by.
pub(crate) fn granted(rights: &str, name: &str) -> String {
    rights
        .replace("name: podmeter", &format!("name: {name}"))
        .replace("namespace: podmeter", "namespace: NAMESPACE")
}

/// A kubeconfig with the token of a service account that is there.
pub(crate) fn kubeconfig(tool: &Tool, namespace: &str, name: &str, folder: &Path) -> PathBuf {
    // This Kubernetes keeps a token for each account; newer ones would be asked for one.
    let secret = wait::until("its token", START, || {
        let account = tool.object(&["-n", namespace, "serviceaccount", name])?;
        account["secrets"][0]["name"].as_str().map(str::to_owned)
    });
    let token = tool.kubectl(&[
        "-n",
        namespace,
        "get",
        "secret",
        &secret,
        "-o",
        "go-template={{.data.token | base64decode}}",
    ]);
    let config = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": {
            "server": format!("https://{}", relay::server(&tool.kubeconfig)),
            "certificate-authority": tool.dir.join("ca.crt"),
        }}],
        "users": [{"name": "it", "user": {"token": token}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    });
    let file = folder.join(format!("{name}.kubeconfig"));
    fs::write(&file, config.to_string()).expect("it can be written");
    file
}
