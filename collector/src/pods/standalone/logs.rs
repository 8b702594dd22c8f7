//! The kubelet's log directories.
//!
//! `/var/log/pods/<namespace>_<pod>_<uid>/<container>/` for each pod (the uid of a static pod is the hash that
//! its cgroup carries too), `/var/log/containers/<pod>_<namespace>_<container>-<id>.log` for each container.
//! Names in Kubernetes have no `_`, so the parts are told apart exactly.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::{MAX, StandaloneContainer};
use crate::cgroup::{ContainerId, PodUid};
use crate::pods::model::{Container, Pod, Resources, Role, Workload};

/// Containers of one pod that are looked at.
const MAX_CONTAINERS: usize = 64;

/// A pod and its containers, ended ones among them.
pub(super) struct Logged {
    pub(super) pod: Pod,
    pub(super) containers: Vec<(ContainerId, Arc<StandaloneContainer>)>,
}

struct Link {
    container: Arc<str>,
    id: ContainerId,
    made: SystemTime,
}

/// Every pod that has a log directory.
pub(super) fn pods(root: &Path, node: &str) -> Vec<Logged> {
    let mut links = links(root);
    let mut found = Vec::new();
    for folder in names(&root.join("var/log/pods"), MAX) {
        let Some((namespace, name, uid)) = pod(&folder) else { continue };
        let workload = workload(uid, name, node);
        let mut pod = Pod::bare(uid, namespace.into(), name.into(), workload);
        for container in names(&root.join("var/log/pods").join(&folder), MAX_CONTAINERS) {
            pod.containers.push(Container {
                name: container.into(),
                role: Role::Regular,
                resources: Resources::default(),
                status: None,
            });
        }
        let mut mine = links.remove(&(namespace.to_owned(), name.to_owned())).unwrap_or_default();
        // The youngest link of a container is the one that runs.
        mine.sort_by_key(|link| link.made);
        let mut containers = Vec::new();
        for link in mine {
            pod.put_container(&link.container, &link.id);
            let container =
                StandaloneContainer { name: link.container, pod: Some(uid), labels: Vec::new() };
            containers.push((link.id, Arc::new(container)));
        }
        found.push(Logged { pod, containers });
    }
    found
}

/// A static pod is known by its uid; who owns another is not written anywhere here.
fn workload(uid: PodUid, name: &str, node: &str) -> Workload {
    match uid {
        PodUid::ConfigHash(_) => {
            let short = name.strip_suffix(node).and_then(|name| name.strip_suffix('-'));
            Workload {
                kind: "StaticPod".into(),
                name: short.filter(|_| !node.is_empty()).unwrap_or(name).into(),
            }
        }
        PodUid::Uid(_) => Workload::default(),
    }
}

/// Namespace, name and uid of a pod's log directory.
fn pod(folder: &str) -> Option<(&str, &str, PodUid)> {
    let mut parts = folder.split('_');
    let (namespace, name, uid) = (parts.next()?, parts.next()?, parts.next()?);
    let is_whole = parts.next().is_none() && !namespace.is_empty() && !name.is_empty();
    PodUid::parse(uid).filter(|_| is_whole).map(|uid| (namespace, name, uid))
}

/// Pod, namespace, container and id of a container's link.
fn link(file: &str) -> Option<(&str, &str, &str, &str)> {
    let mut parts = file.strip_suffix(".log")?.split('_');
    let (pod, namespace, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (container, id) = rest.rsplit_once('-')?;
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_id && parts.next().is_none() && !container.is_empty())
        .then_some((pod, namespace, container, id))
}

fn links(root: &Path) -> HashMap<(String, String), Vec<Link>> {
    let folder = root.join("var/log/containers");
    let mut links: HashMap<_, Vec<Link>> = HashMap::new();
    for file in names(&folder, MAX) {
        let Some((pod, namespace, container, id)) = link(&file) else { continue };
        let made =
            fs::symlink_metadata(folder.join(&file)).and_then(|metadata| metadata.modified());
        let link = Link {
            container: container.into(),
            id: ContainerId::new(id),
            made: made.unwrap_or(SystemTime::UNIX_EPOCH),
        };
        links.entry((namespace.to_owned(), pod.to_owned())).or_default().push(link);
    }
    links
}

/// Names in a directory, in order; none when there is no such directory.
fn names(folder: &Path, most: usize) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(most);
    let mut names: Vec<_> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn folder_of_a_pod_has_three_parts_and_a_uid() {
        let (namespace, name, uid) =
            pod("kube-system_etcd-n1_d76e26fba3bf2bfd215eb29011d55250").unwrap();
        assert_eq!((namespace, name), ("kube-system", "etcd-n1"));
        assert!(matches!(uid, PodUid::ConfigHash(_)));
        for bad in [
            "",
            "a_b",
            "a_b_c",
            "_b_00000000-0000-0000-0000-000000000001",
            "a_b_00000000-0000-0000-0000-000000000001_x",
        ] {
            assert!(pod(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn link_of_a_container_ends_in_its_id() {
        let id = "ab".repeat(32);
        assert_eq!(
            link(&format!("web-1_shop_main-app-{id}.log")),
            Some(("web-1", "shop", "main-app", id.as_str()))
        );
        assert_eq!(link(&format!("web-1_shop_main-{}.log", &id[1..])), None);
        assert_eq!(link(&format!("web-1_shop_main-{id}")), None);
    }

    proptest! {
        #[test]
        fn no_name_makes_it_panic(name in ".{0,100}") {
            let _ = pod(&name);
            let _ = link(&name);
        }
    }
}
