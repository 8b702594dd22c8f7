"""Each role grants what its part uses and nothing more, and is there only with that part."""

import pytest
import yaml

import helm

# Role, rules as (groups, resources, verbs).
ROLES = {
    "podmeter": [("", "pods nodes", "list watch")],
    "podmeter-diagnose": [
        ("", "events", "list"),
        ("", "persistentvolumeclaims", "get"),
        ("storage.k8s.io", "volumeattachments", "list"),
    ],
    "podmeter-access": [
        ("authentication.k8s.io", "tokenreviews", "create"),
        ("authorization.k8s.io", "subjectaccessreviews", "create"),
    ],
    "podmeter-events": [("events.k8s.io", "events", "create")],
    "podmeter-proxy": [
        ("networking.k8s.io", "ingresses ingressclasses", "list watch"),
        ("", "services endpoints", "list watch"),
        ("discovery.k8s.io", "endpointslices", "list watch"),
        ("", "secrets", "list watch"),
    ],
    "podmeter-proxy-events": [("events.k8s.io", "events", "create")],
    "podmeter-proxy-status": [("networking.k8s.io", "ingresses/status", "patch")],
}
DEFAULTS = {"podmeter", "podmeter-diagnose", "podmeter-access"}
ALL = "proxy.enabled=true,proxy.publishAddress={192.0.2.1},podEvents={stuck}"


def test_every_role_grants_exactly_its_part():
    roles = clusterroles(helm.render("--set", ALL))
    assert {name: rules(role) for name, role in roles.items()} == ROLES


@pytest.mark.parametrize(
    "settings, expected",
    [
        ("", DEFAULTS),
        ("access.mode=open", DEFAULTS - {"podmeter-access"}),
        ("diagnose=false", DEFAULTS - {"podmeter-diagnose"}),
        ("podEvents={memory}", DEFAULTS | {"podmeter-events"}),
        ("proxy.enabled=true", DEFAULTS | {"podmeter-proxy", "podmeter-proxy-events"}),
        ("proxy.enabled=true,proxy.events=false", DEFAULTS | {"podmeter-proxy"}),
        ("rbac.create=false", set()),
        ("diagnose=false,access.mode=open", {"podmeter"}),
    ],
)
def test_a_role_is_there_with_its_part_alone(settings, expected):
    assert set(clusterroles(helm.render("--set", settings))) == expected


@pytest.mark.parametrize("key", ["config.labels.namespace={team}", "config.kubernetes.namespace_labels={team}"])
def test_namespaces_are_granted_only_for_their_labels(key):
    role = clusterroles(helm.render("--set", key))["podmeter"]
    assert rules(role) == ROLES["podmeter"] + [("", "namespaces", "list watch")]


def test_each_role_is_bound_to_the_account_and_to_nobody_else():
    things = helm.render("--set", ALL, namespace="elsewhere")
    bound = {it["roleRef"]["name"]: it["subjects"] for it in things if it["kind"] == "ClusterRoleBinding"}
    account = [{"kind": "ServiceAccount", "name": "podmeter", "namespace": "elsewhere"}]
    assert bound == {name: account for name in ROLES}
    assert helm.only(things, "DaemonSet")["spec"]["template"]["spec"]["serviceAccountName"] == "podmeter"


def test_readers_role_is_bound_to_nobody_by_itself():
    things = helm.render()
    role = helm.only(things, "ClusterRole", "podmeter-metrics-reader")
    assert role["rules"] == [{"nonResourceURLs": ["/metrics", "/", "/api/v1/*"], "verbs": ["get"]}]
    assert rules(helm.only(things, "Role", "podmeter-metrics-reader")) == [("podmeter.io", "metrics", "get")]
    assert not [it for it in things if "Binding" in it["kind"] and "reader" in it["roleRef"]["name"]]


def test_readers_and_the_scraper_have_a_binding_each():
    things = helm.of_table(next(path for path in helm.TABLE if path.stem == "everything"))
    readers = helm.only(things, "RoleBinding", "watcher-readers")
    assert readers["roleRef"]["name"] == "watcher-metrics-reader"
    assert readers["subjects"] == [
        {"kind": "ServiceAccount", "name": "prometheus-k8s", "namespace": "monitoring"},
        {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "jane"},
        {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:masters"},
    ]
    scraper = helm.only(things, "RoleBinding", "watcher-scraper")
    assert scraper["subjects"] == [{"kind": "ServiceAccount", "name": "watcher-scraper", "namespace": "podmeter"}]
    secret = helm.only(things, "Secret", "watcher-scraper-token")
    assert secret["metadata"]["annotations"] == {"kubernetes.io/service-account.name": "watcher-scraper"}
    # The token is Kubernetes' to write.
    assert "data" not in secret and "stringData" not in secret


def test_the_pod_monitor_sends_the_scrapers_token():
    things = helm.of_table(next(path for path in helm.TABLE if path.stem == "pod-monitor"))
    endpoint = helm.only(things, "PodMonitor")["spec"]["podMetricsEndpoints"][0]
    assert endpoint["honorLabels"] is True and endpoint["port"] == "metrics"
    assert endpoint["authorization"]["credentials"] == {"name": "podmeter-scraper-token", "key": "token"}
    annotations = helm.only(things, "DaemonSet")["spec"]["template"]["metadata"]["annotations"]
    assert set(annotations) == {"checksum/config"}
    plain = helm.only(helm.render(), "DaemonSet")["spec"]["template"]["metadata"]["annotations"]
    assert plain["prometheus.io/scrape"] == "true" and plain["prometheus.io/port"] == "9464"


def test_secrets_can_be_named_one_by_one():
    things = helm.of_table(next(path for path in helm.TABLE if path.stem == "everything"))
    assert "secrets" not in yaml.safe_dump(clusterroles(things))
    named = {
        it["metadata"]["namespace"]: it["rules"]
        for it in things
        if it["kind"] == "Role" and it["metadata"]["name"] == "watcher-proxy-secrets"
    }
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list", "watch"]}
    assert named == {
        "blog": [rule | {"resourceNames": ["blog-tls"]}],
        "shop": [rule | {"resourceNames": ["shop-tls", "shop-clients"]}],
    }


def test_every_right_and_mount_has_a_line_that_says_what_is_lost_without_it():
    page = (helm.ROOT / "deploy/README.md").read_text()
    for role, parts in ROLES.items():
        assert f"`{role}`" in page, role
        for _, resources, verbs in parts:
            for resource in resources.split():
                assert f"| {resource}: {verbs.replace(' ', ', ')}" in page, f"{role}: {resource}"
    for folder in ("/sys/fs/cgroup", "/proc"):
        assert f"| `{folder}`" in page


def clusterroles(things):
    """Those that are bound to Podmeter itself."""
    roles = {it["metadata"]["name"]: it for it in things if it["kind"] == "ClusterRole"}
    return {name: role for name, role in roles.items() if not name.endswith("-metrics-reader")}


def rules(role):
    return [(*rule["apiGroups"], " ".join(rule["resources"]), " ".join(rule["verbs"])) for rule in role["rules"]]
