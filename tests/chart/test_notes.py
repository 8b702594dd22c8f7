"""What Helm says after the installation leads to the next step."""

import pytest

import helm


def notes(*words, namespace="podmeter"):
    flags = ("--dry-run=client", "--namespace", namespace, *words)
    out = helm.text("install", "podmeter", helm.CHART, *flags)
    return out.split("NOTES:\n")[1]


@pytest.mark.parametrize("path", helm.TABLE, ids=lambda path: path.stem)
def test_notes_open_the_page_and_ask_the_main_question(path):
    text = notes("--values", path)
    assert "port-forward daemonset/" in text
    assert 'topk(10, max by (namespace, pod, container) (podmeter_memory_limit_ratio{basis="unreclaimable"}))' in text
    assert "pod-security.kubernetes.io/enforce=privileged" in text
    assert "<no value>" not in text and "%!" not in text
    assert max(len(line) for line in text.splitlines()) <= 160


def test_notes_say_how_to_get_a_token():
    text = notes()
    assert "create token reader" in text and "clear text" in text
    assert "--role=podmeter-metrics-reader" in text
    assert "get secret podmeter-scraper-token" in notes("--set", "access.scraper.create=true")
    assert "'{{.data.token | base64decode}}'" in notes("--set", "access.scraper.create=true")
    safe = notes("--set", "tls.secretName=x")
    assert "curl -sk -H" in safe and "https://127.0.0.1:9464/metrics" in safe and "clear text" not in safe
    assert "access.mode is open" in notes("--set", "access.mode=open")


def test_notes_hint_at_the_label_that_the_operator_selects_by():
    monitor = "podMonitor.enabled=true,access.scraper.create=true"
    assert "podMonitor.release=NAME" in notes("--set", monitor)
    assert "podMonitor.release=NAME" not in notes("--set", monitor + ",podMonitor.release=x")
    assert "honor_labels: true" in notes()


def test_notes_say_where_the_proxy_listens():
    path = next(path for path in helm.TABLE if path.stem == "host-ports")
    text = notes("--values", path)
    assert "8080 (HTTP, port 80 of each node)" in text and "8443 (HTTPS, port 443 of each node)" in text
    assert "ingressClassName" in text
    assert "The proxy" not in notes()
