//! Standalone look-ups against a made tree.

use std::fs;

use super::*;
use crate::pods::labels;

const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    fn with(self, path: &str, text: &str) -> Self {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn open(&self) -> Standalone {
        Standalone::open(self.root.path(), "n1", Rules::new(&labels::Settings::default()).unwrap())
    }
}

fn container(id: &str) -> Unknown {
    Unknown::Container(ContainerId::new(id))
}

#[test]
fn pods_and_containers_are_named_by_the_log_directories() {
    let machine = Machine::new()
        .with("var/log/pods/shop_web-1_00000000-0000-0000-0000-000000000001/main/0.log", "")
        .with("var/log/pods/kube-system_etcd-n1_d76e26fba3bf2bfd215eb29011d55250/etcd/0.log", "")
        .with(&format!("var/log/containers/web-1_shop_main-{ID}.log"), "");
    let uid = PodUid::Uid(1);
    let index = machine.open().index(&[Unknown::Pod(uid)]);

    let pod = index.pod(uid).unwrap();
    assert_eq!((&*pod.namespace, &*pod.name, &*pod.containers[0].name), ("shop", "web-1", "main"));
    assert_eq!(pod.containers[0].status.as_ref().unwrap().id, Some(ContainerId::new(ID)));
    assert_eq!(index.container(&ContainerId::new(ID)).unwrap().pod, Some(uid));

    let hash = PodUid::parse("d76e26fba3bf2bfd215eb29011d55250").unwrap();
    assert_eq!(&*index.pod(hash).unwrap().workload.name, "etcd");
}

#[test]
fn docker_container_has_its_name_and_labels() {
    let config = r#"{"Name":"/shop-db","Config":{"Labels":{"team":"cash","tier":"db"}}}"#;
    let machine =
        Machine::new().with(&format!("var/lib/docker/containers/{ID}/config.v2.json"), config);
    let index = machine.open().index(&[container(ID)]);
    let found = index.container(&ContainerId::new(ID)).unwrap();
    assert_eq!((&*found.name, found.pod), ("shop-db", None));
    assert_eq!(
        found.labels.iter().map(|label| &*label.name).collect::<Vec<_>>(),
        ["label_team", "label_tier"]
    );
}

#[test]
fn bundle_of_containerd_names_the_pod_too() {
    let config = r#"{"annotations":{
        "io.kubernetes.cri.container-type":"container", "io.kubernetes.cri.container-name":"main",
        "io.kubernetes.cri.sandbox-name":"web-1", "io.kubernetes.cri.sandbox-namespace":"shop",
        "io.kubernetes.cri.sandbox-uid":"00000000-0000-0000-0000-000000000001"}}"#;
    let machine = Machine::new().with(
        &format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json"),
        config,
    );
    let index = machine.open().index(&[container(ID)]);
    assert_eq!(&*index.pod(PodUid::Uid(1)).unwrap().containers[0].name, "main");
    assert_eq!(index.container(&ContainerId::new(ID)).unwrap().pod, Some(PodUid::Uid(1)));
}

#[test]
fn sandbox_of_crio_gives_the_pods_labels_and_no_container() {
    let config = r#"{"annotations":{
        "io.kubernetes.cri-o.ContainerType":"sandbox", "io.kubernetes.container.name":"POD",
        "io.kubernetes.pod.name":"web-1", "io.kubernetes.pod.namespace":"shop",
        "io.kubernetes.pod.uid":"00000000-0000-0000-0000-000000000001",
        "io.kubernetes.cri-o.Labels":"{\"app\":\"web\",\"io.kubernetes.pod.name\":\"web-1\"}"}}"#;
    let machine = Machine::new().with(
        &format!("run/containers/storage/overlay-containers/{ID}/userdata/config.json"),
        config,
    );
    let index = machine.open().index(&[container(ID)]);
    let pod = index.pod(PodUid::Uid(1)).unwrap();
    assert_eq!(pod.labels.iter().map(|label| &*label.name).collect::<Vec<_>>(), ["label_app"]);
    assert!(pod.containers.is_empty() && index.container(&ContainerId::new(ID)).is_none());
}

#[test]
fn nothing_is_read_again_while_nothing_new_is_unknown() {
    let machine = Machine::new()
        .with("var/log/pods/shop_web-1_00000000-0000-0000-0000-000000000001/main/0.log", "");
    let mut standalone = machine.open();
    let first = standalone.index(&[Unknown::Pod(PodUid::Uid(1))]);
    assert!(Arc::ptr_eq(&first, &standalone.index(&[])));

    let hopeless = [container("nobody-knows-it")];
    for _ in 0..TRIES {
        standalone.index(&hopeless);
    }
    let last = standalone.index(&hopeless);
    assert!(Arc::ptr_eq(&last, &standalone.index(&hopeless)), "it gives up");
}

#[test]
fn damaged_huge_and_hostile_entries_are_passed_over() {
    let huge = format!("{{\"Name\":\"/x\",\"pad\":\"{}\"}}", "x".repeat(1 << 20));
    let machine = Machine::new()
        .with("var/log/pods/not-a-pod/main/0.log", "")
        .with("var/log/containers/odd.log", "")
        .with("etc/config.v2.json", r#"{"Name":"/stolen"}"#)
        .with("var/lib/docker/containers/garbage/config.v2.json", "{")
        .with("var/lib/docker/containers/huge/config.v2.json", &huge);
    let index = machine.open().index(&[
        container("../../../../etc"),
        container("garbage"),
        container("huge"),
    ]);
    assert_eq!(index.pods().len(), 0);
    for id in ["../../../../etc", "garbage", "huge"] {
        assert!(index.container(&ContainerId::new(id)).is_none(), "{id}");
    }
}
