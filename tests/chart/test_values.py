"""Wrong values are refused with a message that names them, and every value is described and checked."""

import json
import re

import jsonschema
import pytest
import yaml

import helm

SCHEMA = json.loads((helm.CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((helm.CHART / "values.yaml").read_text())


@pytest.mark.parametrize(
    "setting, expected",
    [
        ("podMonitor.enable=true", ["/podMonitor", "enable"]),
        ("podmonitor.enabled=true", ["podmonitor"]),
        ("metrics.port=http", ["/metrics/port", "integer"]),
        ("metrics.port=80", ["/metrics/port", "1,024"]),
        ("proxy.enabled=yes-please", ["/proxy/enabled", "boolean"]),
        ("proxy.http.hostPort=70000", ["/proxy/http/hostPort", "65,535"]),
        ("access.mode=token", ["/access/mode", "kubernetes", "certificate", "open"]),
        ("access.readers={jane}", ["/access/readers/0", "object"]),
        ("podEvents={oom}", ["/podEvents/0", "stuck", "memory", "throttling"]),
        ("state.type=disk", ["/state/type", "emptyDir"]),
        ("image.digest=latest", ["/image/digest"]),
        ("updateStrategy.maxUnavailable=0", ["/updateStrategy/maxUnavailable", "minimum"]),
        ("networkPolicy.from[0].namespace=x", ["/networkPolicy/from/0", "namespace"]),
        ("config.intervall=10s", ["/config", "intervall"]),
        ("config.interval=10", ["/config/interval", "string"]),
        ("secretMounts[0].secretName=x", ["/secretMounts/0", "path"]),
        ("access.readers[0].kind=ServiceAccount,access.readers[0].name=x", ["/access/readers/0", "namespace"]),
    ],
)
def test_schema_refuses(setting, expected):
    message = helm.refusal("--set", setting)
    for part in expected:
        assert part in message, message


@pytest.mark.parametrize(
    "settings, expected",
    [
        ("config.listen={0.0.0.0:1}", "config.listen is the chart's to set; instead use listenAddress and metrics.port"),
        ("config.proc=/x", "config.proc is the chart's to set; instead use host.proc"),
        ("config.access.mode=open", "config.access.mode is the chart's to set; instead use access.mode"),
        ("config.kubernetes.diagnose=false", "instead use diagnose"),
        ("config.proxy.listen={x},proxy.enabled=true", "instead use proxy.http.port"),
        ("config.proxy.workers=2", "set proxy.enabled=true"),
        ("access.mode=certificate", "needs tls.secretName"),
        ("tls.clients.secretName=x", "needs tls.secretName"),
        ("tls.secretName=x,tls.clients.crl=true", "needs tls.clients.secretName"),
        ("access.mode=open,access.scraper.create=true", "no effect with access.mode open"),
        ("rbac.create=false,access.scraper.create=true", "need rbac.create"),
        ("podMonitor.enabled=true", "set access.scraper.create=true"),
        ("podMonitor.enabled=true,access.mode=open,tls.secretName=x", "needs podMonitor.tls.serverName"),
        (
            "podMonitor.enabled=true,access.mode=certificate,tls.secretName=x,tls.clients.secretName=y",
            "needs podMonitor.tls.clientSecretName",
        ),
        ("proxy.enabled=true,proxy.http.port=0", "set proxy.http.port or proxy.https.port"),
        ("proxy.enabled=true,proxy.https.hostPort=443", "needs proxy.https.port"),
        ("proxy.enabled=true,proxy.http.port=9464", "metrics.port are the same"),
        ("proxy.enabled=true,proxy.https.port=8080", "proxy.https.port are the same"),
        ("proxy.enabled=true,proxy.http.hostPort=80,updateStrategy.maxSurge=1", "two pods cannot share a port of the node"),
        ("proxy.enabled=true,terminationGracePeriodSeconds=29", "set it to 30 or more"),
        ("proxy.enabled=true,config.proxy.drain.timeout=60s", "set it to 75 or more"),
    ],
)
def test_values_that_do_not_go_together_are_refused(settings, expected):
    assert expected in helm.refusal("--set", settings)


@pytest.mark.parametrize("path", helm.TABLE, ids=lambda path: path.stem)
def test_another_reader_of_the_schema_agrees_with_helm(path):
    merged = merge(VALUES, yaml.safe_load(path.read_text()) or {})
    jsonschema.Draft202012Validator(SCHEMA).validate(merged)


def test_every_value_is_described_and_has_a_type_and_nothing_else_is_let_in():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    described(SCHEMA["properties"], VALUES, "")


def described(properties, values, above):
    assert set(properties) - {"global"} == set(values), above
    for key, value in values.items():
        path = f"{above}.{key}".lstrip(".")
        schema = properties[key]
        if value and "properties" in schema:
            assert schema["additionalProperties"] is False, path
            described(schema["properties"], value, path)
        else:
            assert schema.get("description"), f"{path} has no comment with `# --` in values.yaml"
            assert "type" in schema or "anyOf" in schema, path


def test_the_configuration_takes_every_key_that_podmeter_has():
    page = (helm.ROOT / "docs/configuration.md").read_text()
    keys = {re.split(r"[.\[]", key)[0] for key in re.findall(r"^\| `([a-z_.\[\]]+)` \|", page, re.M)}
    assert {"interval", "proxy", "labels"} <= keys
    # Those of later versions may be there before the page has them.
    assert not keys - set(SCHEMA["properties"]["config"]["properties"])


def merge(under, over):
    if isinstance(under, dict) and isinstance(over, dict):
        return under | {key: merge(under.get(key), value) for key, value in over.items()}
    return over
