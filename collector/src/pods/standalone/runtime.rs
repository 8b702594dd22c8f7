//! The runtimes' own files: what a container is called where no kubelet logged it.
//!
//! Docker: `config.v2.json`. containerd and nerdctl: the annotations in the bundle's `config.json`. CRI-O:
//! the same file in its storage. Each is optional, and each is looked up by the container's id, never listed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::{Found, StandaloneContainer};
use crate::api::lax::{Lax, Map, Text};
use crate::cgroup::{ContainerId, PodUid};
use crate::pods::labels::Rules;
use crate::pods::model::{Pod, Workload};

/// Bytes of a file that are read; larger ones are refused.
const MAX_FILE: u64 = 1 << 20;
/// containerd's namespaces that are tried.
const MAX_NAMESPACES: usize = 16;

const DOCKER: &str = "var/lib/docker/containers";
const CONTAINERD: &str = "run/containerd/io.containerd.runtime.v2.task";
const CRIO: &str = "run/containers/storage/overlay-containers";

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Docker {
    name: Text,
    config: Lax<DockerConfig>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DockerConfig {
    labels: Map,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Bundle {
    annotations: BTreeMap<String, Value>,
}

/// The container with this id, if a runtime's file names it.
pub(super) fn find(root: &Path, id: &ContainerId, rules: &Rules) -> Option<Found> {
    let (docker, bundles) = files(root, id)?;
    if let Some(config) = read::<Docker>(&docker) {
        return Some(of_docker(config, rules));
    }
    bundles.iter().find_map(|path| of_bundle(&read::<Bundle>(path)?, rules))
}

/// Whether any runtime still has files of this container.
pub(super) fn exists(root: &Path, id: &ContainerId) -> bool {
    files(root, id).is_some_and(|(docker, bundles)| {
        docker.exists() || bundles.iter().any(|path| path.exists())
    })
}

/// Docker's file, and where a bundle's may be.
fn files(root: &Path, id: &ContainerId) -> Option<(PathBuf, Vec<PathBuf>)> {
    let id = id.as_str();
    // It becomes part of a path, and a cgroup may have any name.
    let is_plain = !id.is_empty()
        && id.len() <= 128
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if !is_plain {
        return None;
    }
    let namespaces =
        fs::read_dir(root.join(CONTAINERD)).into_iter().flatten().flatten().take(MAX_NAMESPACES);
    let mut bundles: Vec<_> =
        namespaces.map(|namespace| namespace.path().join(id).join("config.json")).collect();
    bundles.push(root.join(CRIO).join(id).join("userdata/config.json"));
    Some((root.join(DOCKER).join(id).join("config.v2.json"), bundles))
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Option<T> {
    let file = File::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn of_docker(docker: Docker, rules: &Rules) -> Found {
    let labels = docker.config.into_inner().labels;
    let label = |key: &str| labels.value(key).cloned();
    let pod = pod(
        &label,
        "io.kubernetes.pod.uid",
        "io.kubernetes.pod.namespace",
        "io.kubernetes.pod.name",
    );
    let name = label("io.kubernetes.container.name")
        .unwrap_or_else(|| docker.name.as_str().trim_start_matches('/').into());
    found(pod, name, rules.pod(&labels, &Map::default()).0)
}

fn of_bundle(bundle: &Bundle, rules: &Rules) -> Option<Found> {
    let text = |key: &str| {
        Some(Arc::<str>::from(crate::api::lax::cut(bundle.annotations.get(key)?.as_str()?, 256)))
    };
    let cri = pod(
        &text,
        "io.kubernetes.cri.sandbox-uid",
        "io.kubernetes.cri.sandbox-namespace",
        "io.kubernetes.cri.sandbox-name",
    );
    let crio = || {
        pod(&text, "io.kubernetes.pod.uid", "io.kubernetes.pod.namespace", "io.kubernetes.pod.name")
    };
    let mut pod = cri.or_else(crio);
    // CRI-O writes a sandbox's labels, which are the pod's, as JSON in an annotation.
    let labels = bundle.annotations.get("io.kubernetes.cri-o.Labels").and_then(Value::as_str);
    if let (Some(pod), Some(labels)) =
        (&mut pod, labels.and_then(|labels| serde_json::from_str::<Map>(labels).ok()))
    {
        let mut labels = labels;
        // The runtime's own bookkeeping stands among them.
        labels.entries.retain(|(key, _)| !key.starts_with("io.kubernetes."));
        (pod.labels, pod.cut) = rules.pod(&labels, &Map::default());
    }
    let is_sandbox = ["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"]
        .into_iter()
        .any(|key| text(key).as_deref() == Some("sandbox"));
    let names =
        ["io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name"];
    let name = names.into_iter().find_map(text).filter(|_| !is_sandbox);
    match (name, pod) {
        (Some(name), pod) => Some(found(pod, name, Vec::new())),
        // A sandbox has no name of its own but tells the pod's.
        (None, Some(pod)) => Some(Found { container: None, pod: Some(Arc::new(pod)) }),
        (None, None) => None,
    }
}

fn found(pod: Option<Pod>, name: Arc<str>, labels: Vec<crate::labels::Label>) -> Found {
    let container = StandaloneContainer { name, pod: pod.as_ref().map(|pod| pod.uid), labels };
    Found { container: Some(Arc::new(container)), pod: pod.map(Arc::new) }
}

fn pod(
    text: &impl Fn(&str) -> Option<Arc<str>>,
    uid: &str,
    namespace: &str,
    name: &str,
) -> Option<Pod> {
    let uid = PodUid::parse(&text(uid)?)?;
    Some(Pod::bare(uid, text(namespace)?, text(name)?, Workload::default()))
}
