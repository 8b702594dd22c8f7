"""What the chart makes is valid for the oldest and the newest Kubernetes, and for the Prometheus Operator."""

import json
import re

import jsonschema
import kubernetes_validate
import pytest
import yaml
from cloudcoil.models.prometheus_operator import v1 as operator
from referencing import Registry, Resource

import helm

OPERATORS = {"PodMonitor": operator.PodMonitor, "PrometheusRule": operator.PrometheusRule}
OLDEST = helm.TOOLS / "kubernetes-1.20"
NEWEST = kubernetes_validate.latest_version()
each = pytest.mark.parametrize("path", helm.TABLE, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def chart(tmp_path_factory):
    return helm.with_files(tmp_path_factory.mktemp("files"))


@each
def test_helm_finds_nothing_to_say_in_strict_mode(path):
    out = helm.text("lint", "--strict", helm.CHART, "--values", path)
    assert "0 chart(s) failed" in out


@each
def test_each_object_is_valid_on_the_newest_kubernetes(path, chart):
    for thing in native(helm.of_table(path, chart=chart)):
        kubernetes_validate.validate(thing, NEWEST, strict=True)


@each
def test_each_object_is_valid_on_kubernetes_1_20(path, chart):
    things = native(helm.render("--values", path, "--kube-version", "1.20.0", chart=chart))
    if path.stem == "surge":
        # Surge came with 1.22, as its value says.
        strategy = helm.only(things, "DaemonSet")["spec"]["updateStrategy"]["rollingUpdate"]
        assert strategy.pop("maxSurge") == 2
    for thing in things:
        validate_1_20(thing)


@each
def test_each_object_of_the_operator_is_what_its_types_have(path, chart):
    things = [it for it in helm.of_table(path, chart=chart) if it["kind"] in OPERATORS]
    for thing in things:
        model = OPERATORS[thing["kind"]].model_validate(thing)
        # A field that the type does not have is left out of what it writes.
        kept = model.model_dump(by_alias=True, exclude_unset=True, mode="json")
        assert kept["spec"] == thing["spec"]


def test_a_label_or_annotation_that_is_named_twice_stands_once():
    scrape = "podAnnotations.prometheus\\.io/scrape=no"
    annotations = helm.only(helm.render("--set", scrape), "DaemonSet")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/scrape"] == "no" and annotations["prometheus.io/port"] == "9464"
    monitored = "podMonitor.enabled=true,access.scraper.create=true,commonLabels.release=a,podMonitor.release=b"
    assert helm.only(helm.render("--set", monitored), "PodMonitor")["metadata"]["labels"]["release"] == "b"


def test_a_misspelt_field_would_be_found():
    pod = {"kind": "DaemonSet", "apiVersion": "apps/v1", "metadata": {"name": "x"}, "spec": {"selektor": {}}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(pod, NEWEST, strict=True)
    with pytest.raises(jsonschema.ValidationError):
        validate_1_20(pod)
    monitor = {"metadata": {"name": "x"}, "spec": {"selector": {}, "podMetricsEndpoints": [{"honourLabels": True}]}}
    model = operator.PodMonitor.model_validate(monitor)
    assert model.model_dump(by_alias=True, exclude_unset=True)["spec"] != monitor["spec"]


def test_an_older_kubernetes_is_refused():
    assert "1.20" in helm.refusal("--kube-version", "1.19.0")


@each
def test_every_object_has_the_standard_labels_and_a_namespace(path, chart):
    clusterwide = {"ClusterRole", "ClusterRoleBinding", "Namespace", "IngressClass"}
    for thing in helm.of_table(path, chart=chart):
        labels = thing["metadata"]["labels"]
        wanted = {"name": "podmeter", "instance": "podmeter", "part-of": "podmeter", "managed-by": "Helm", "version": "0.1.0"}
        wanted["version"] = yaml.safe_load((helm.CHART / "Chart.yaml").read_text())["appVersion"]
        for name, value in wanted.items():
            assert labels[f"app.kubernetes.io/{name}"] == value, thing
        assert ("namespace" in thing["metadata"]) == (thing["kind"] not in clusterwide), thing["metadata"]


def test_no_value_but_the_release_changes_the_selector(chart):
    selectors = set()
    for path in helm.TABLE:
        things = helm.of_table(path, chart=chart)
        daemons = helm.only(things, "DaemonSet")["spec"]
        labels = daemons["template"]["metadata"]["labels"]
        selector = daemons["selector"]["matchLabels"]
        assert selector.items() <= labels.items()
        for kind, key in (("Service", "selector"), ("NetworkPolicy", "podSelector"), ("PodMonitor", "selector")):
            for thing in (it for it in things if it["kind"] == kind):
                found = thing["spec"][key]
                assert found.get("matchLabels", found) == selector
        selectors.add(json.dumps(selector))
    assert selectors == {'{"app.kubernetes.io/name": "podmeter", "app.kubernetes.io/instance": "podmeter"}'}
    for value in ("podLabels", "commonLabels"):
        assert "app.kubernetes.io/name" in helm.refusal("--set", f"{value}.app\\.kubernetes\\.io/name=x")


def test_two_releases_share_no_name():
    one, two = (helm.kinds(helm.render(release=name)) for name in ("podmeter", "second"))
    assert not one & two
    assert ("DaemonSet", "second-podmeter") in two
    long = helm.render("--set", "fullnameOverride=" + "a" * 80)
    for kind in ("DaemonSet", "Service"):
        assert len(helm.only(long, kind)["metadata"]["name"]) <= 63


def test_rules_and_dashboards_are_made_of_files_and_of_nothing_else(chart):
    path = next(it for it in helm.TABLE if it.stem == "pod-monitor")
    things = helm.of_table(path, chart=chart)
    rule = helm.only(things, "PrometheusRule", "podmeter-limits")
    assert rule["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert rule["spec"]["groups"][0]["rules"][0]["annotations"] == {"summary": "pod {{ $labels.pod }}"}
    board = helm.only(things, "ConfigMap", "podmeter-dashboard-pods")
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(board["data"]["pods.json"])["title"] == "Pods {{pod}}"
    for folder in ("rules", "dashboards"):
        for file in (chart / "files" / folder).iterdir():
            file.unlink()
    bare = helm.of_table(path, chart=chart)
    assert not [it for it in bare if it["kind"] == "PrometheusRule" or "dashboard" in it["metadata"]["name"]]


def native(things):
    return [it for it in things if it["kind"] not in OPERATORS]


def validate_1_20(thing):
    api = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", thing["apiVersion"])
    schema = json.loads((OLDEST / f"{thing['kind'].lower()}-{api}.json").read_text())
    definitions = (OLDEST / "_definitions.json").as_uri()
    found = json.loads((OLDEST / "_definitions.json").read_text())
    draft = "http://json-schema.org/draft-07/schema#"
    resource = Resource.from_contents({"$schema": draft} | found)
    registry = Registry().with_resources([("_definitions.json", resource), (definitions, resource)])
    jsonschema.Draft7Validator(schema, registry=registry).validate(thing)
