use proptest::prelude::*;

use super::*;

const UID: &str = "2f3c1c9e-0a4e-4c0b-9d8e-7f6a5b4c3d2e";
const UID_: &str = "2f3c1c9e_0a4e_4c0b_9d8e_7f6a5b4c3d2e";
const HASH: &str = "d76e26fba3bf2bfd215eb29011d55250";
const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const NODE: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

/// Fills in the placeholders of a row.
fn path(template: &str) -> String {
    [("{uid_}", UID_), ("{uid}", UID), ("{hash}", HASH), ("{id}", ID), ("{node}", NODE)]
        .into_iter()
        .fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
}

fn pod() -> PodUid {
    PodUid::parse(UID).unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "as classify answers it")]
fn container(pod: Option<PodUid>, id: &str) -> Option<Scope> {
    Some(Scope::Container { pod, id: ContainerId::new(id) })
}

fn check(row: &str, template: &str, expected: impl Into<Option<Scope>>) {
    assert_eq!(classify(&path(template)), expected.into(), "{row}: {template}");
}

#[test]
fn container_of_a_pod_in_every_known_layout() {
    let rows = [
        ("1 cgroupfs, guaranteed", "/kubepods/pod{uid}/{id}"),
        ("2 cgroupfs, burstable", "/kubepods/burstable/pod{uid}/{id}"),
        ("2 cgroupfs, besteffort", "/kubepods/besteffort/pod{uid}/{id}"),
        (
            "3 systemd, containerd",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid_}.slice/cri-containerd-{id}.scope",
        ),
        (
            "4 systemd, guaranteed",
            "/kubepods.slice/kubepods-pod{uid_}.slice/cri-containerd-{id}.scope",
        ),
        (
            "5 systemd, CRI-O",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{uid_}.slice/crio-{id}.scope",
        ),
        ("6 cgroupfs, CRI-O", "/kubepods/pod{uid}/crio-{id}"),
        ("7 systemd, docker", "/kubepods.slice/kubepods-pod{uid_}.slice/docker-{id}.scope"),
        ("7 systemd, podman", "/kubepods.slice/kubepods-pod{uid_}.slice/libpod-{id}.scope"),
        ("8 colon", "/kubepods-burstable-pod{uid_}.slice:cri-containerd:{id}"),
        (
            "8 colon below a service",
            "/system.slice/containerd.service/kubepods-burstable-pod{uid_}.slice:cri-containerd:{id}",
        ),
        (
            "9 kind, systemd",
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{uid_}.slice/cri-containerd-{id}.scope",
        ),
        ("10 kind, cgroupfs", "/kubelet/kubepods/burstable/pod{uid}/{id}"),
        (
            "11 kind seen from the host, systemd",
            "/system.slice/docker-{node}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{uid_}.slice/cri-containerd-{id}.scope",
        ),
        (
            "11 kind seen from the host, cgroupfs",
            "/docker/{node}/kubepods/besteffort/pod{uid}/{id}",
        ),
        ("15 sandbox", "/kubepods/burstable/pod{uid}/{id}"),
        (
            "17 controller in the id",
            "/pids/kubepods.slice/kubepods-pod{uid_}.slice/crio-{id}.scope",
        ),
    ];
    for (row, template) in rows {
        check(row, template, container(Some(pod()), ID));
    }
}

#[test]
fn row_8_colon_form_outside_of_kubepods_is_a_container_of_no_pod() {
    check("8", "/system.slice:cri-containerd:{id}", container(None, ID));
}

#[test]
fn row_12_nested_duplicate_counts_in_the_outer_container_alone() {
    let outer = "/kubepods.slice/kubepods-pod{uid_}.slice/cri-containerd-{id}.scope";
    let nested =
        format!("{outer}/kubepods.slice/kubepods-pod{{uid_}}.slice/cri-containerd-{{id}}.scope");
    check("12 outer", outer, container(Some(pod()), ID));
    check("12 nested", &nested, None);
    assert_eq!(enclosing(&path(&nested)), container(Some(pod()), ID));
}

#[test]
fn row_13_static_pod_carries_its_config_hash() {
    let hash = PodUid::ConfigHash(0xd76e_26fb_a3bf_2bfd_215e_b290_11d5_5250);
    check("13 container", "/kubepods/burstable/pod{hash}/{id}", container(Some(hash), ID));
    check(
        "13 pod",
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{hash}.slice",
        Some(Scope::Pod(hash)),
    );
}

#[test]
fn rows_5_and_14_monitors_and_mount_units_are_no_containers() {
    let slice = "/kubepods.slice/kubepods-pod{uid_}.slice";
    for name in [
        "crio-conmon-{id}.scope",
        "cri-containerd-{id}.mount",
        "crio-{id}.mount",
        "libpod-conmon-{id}.scope",
    ] {
        check(name, &format!("{slice}/{name}"), None);
    }
    assert!(
        is_ignored("run-netns.mount")
            && is_ignored("crio-conmon-1.scope")
            && is_ignored("libpod-conmon-1.scope")
    );
    assert!(!is_ignored(&path("crio-{id}.scope")));
}

#[test]
fn row_16_ids_of_ecs_and_garden() {
    let ecs = "0123456789abcdef0123456789abcdef-1234567890";
    let garden = "01234567-89ab-cdef-0123-4567";
    check("16 ECS", &format!("/ecs/0123456789abcdef0123456789abcdef/{ecs}"), container(None, ecs));
    check("16 Garden", &format!("/garden/{garden}"), container(None, garden));
    check("16 a UUID is no Garden id", "/garden/{uid}", None);
}

#[test]
fn row_18_pod_of_a_sandboxed_runtime_has_its_own_cgroup_only() {
    let expected = Some(Scope::Pod(pod()));
    check("18 cgroupfs", "/kubepods/burstable/pod{uid}", expected.clone());
    check("18 systemd", "/kubepods.slice/kubepods-pod{uid_}.slice", expected.clone());
    check(
        "18 kind",
        "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{uid_}.slice",
        expected,
    );
    check("18 overhead", "/kubepods/pod{uid}/kata_overhead", None);
}

#[test]
fn containers_that_kubernetes_does_not_run_have_no_pod() {
    for template in
        ["/docker/{id}", "/system.slice/docker-{id}.scope", "/machine.slice/libpod-{id}.scope"]
    {
        check("no pod", template, container(None, ID));
    }
    check("below it", "/docker/{node}/docker/{id}", None);
}

#[test]
fn everything_else_is_neither() {
    for template in [
        "",
        "/",
        "/kubepods",
        "/kubepods/burstable",
        "/system.slice/ssh.service",
        "/pod{uid}",
        "/user.slice",
        "/kubepods/podcast",
    ] {
        check("neither", template, None);
    }
}

#[test]
fn ids_are_found_in_a_path_seen_from_a_cgroup_namespace() {
    let text = path("/../../pod{uid}/cri-containerd-{id}.scope");
    assert_eq!(container_ids(&text).collect::<Vec<_>>(), [ID]);
}

fn part() -> impl Strategy<Value = String> {
    let fixed = [
        "kubepods",
        "kubepods.slice",
        "burstable",
        "pod{uid}",
        "kubepods-burstable-pod{uid_}.slice",
        "{id}",
        "crio-{id}.scope",
        "docker-{node}.scope",
        "x:cri-containerd:{id}",
        "..",
        "",
        "pod{hash}",
        "kubepods-pod",
        ":",
    ];
    prop_oneof![4 => prop::sample::select(fixed.to_vec()).prop_map(path), 1 => "\\PC{0,12}"]
}

proptest! {
    #[test]
    fn any_text_is_understood_or_not_but_never_panics(text in "\\PC*") {
        let _ = (classify(&text), enclosing(&text), container_ids(&text).count());
    }

    #[test]
    fn nothing_below_a_container_of_a_pod_is_a_row_of_its_own(parts in prop::collection::vec(part(), 0..8), more in part()) {
        prop_assume!(!more.trim_matches('/').is_empty());
        let outer = format!("/{}", parts.join("/"));
        if let Some(scope @ Scope::Container { pod: Some(_), .. }) = classify(&outer) {
            let inner = format!("{outer}/{more}");
            prop_assert_eq!(classify(&inner), None);
            prop_assert_eq!(enclosing(&inner), Some(scope));
        }
    }

    #[test]
    fn container_is_never_found_below_another_container(parts in prop::collection::vec(part(), 0..8)) {
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let path = format!("/{}", parts.join("/"));
        if let Some(Scope::Container { .. }) = classify(&path) {
            for (at, _) in path.match_indices('/').skip(1) {
                let above = classify(&path[..at]);
                prop_assert!(!matches!(above, Some(Scope::Container { pod: Some(_), .. })), "{} in {}", &path[..at], path);
            }
        }
    }
}

#[test]
fn short_id_still_tells_the_containers_of_one_task_apart() {
    assert_eq!(ContainerId::new(ID).short(), "0123456789ab");
    let task = [1, 2].map(|number| ContainerId::new(&format!("{HASH}-{number}")));
    assert_ne!(task[0].short(), task[1].short());
}
