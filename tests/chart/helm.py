"""Runs Helm and kubectl on the chart. What the suite's files share, and nothing that decides whether a test passes."""

import os
import shutil
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
CHART = ROOT / "deploy/chart"
TOOLS = ROOT / "target/tools"
TABLE = sorted(Path(__file__).parent.glob("values/*.yaml"))


def run(*words, tool="helm"):
    return subprocess.run([TOOLS / tool, *map(str, words)], capture_output=True, text=True, cwd=ROOT)


def text(*words, tool="helm"):
    done = run(*words, tool=tool)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Loader(yaml.SafeLoader):
    """Takes no key twice, as strict readers of YAML do not."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key stands twice: {keys}"
        return super().construct_mapping(node, deep)


def render(*words, release="podmeter", namespace="podmeter", chart=CHART):
    """The objects that the chart makes with these flags."""
    out = text("template", release, chart, "--namespace", namespace, *words)
    return [thing for thing in yaml.load_all(out, Loader) if thing]


def of_table(path, **more):
    return render("--values", path, namespace="kube-system" if path.stem == "kube-system" else "podmeter", **more)


def refusal(*words):
    """What Helm says of values that it refuses, without the lines that name its templates."""
    done = run("template", "podmeter", CHART, *words)
    assert done.returncode != 0, "it was not refused"
    return done.stderr


def only(things, kind, name=None):
    found = [it for it in things if it["kind"] == kind and name in (None, it["metadata"]["name"])]
    assert len(found) == 1, f"{kind} {name}: {[it['metadata']['name'] for it in found]}"
    return found[0]


def kinds(things):
    return {(it["kind"], it["metadata"]["name"]) for it in things}


def with_files(folder):
    """A copy of the chart with a rule and a dashboard of its own."""
    copy = Path(shutil.copytree(CHART, folder / "chart"))
    shutil.rmtree(copy / "files", ignore_errors=True)
    (copy / "files/rules").mkdir(parents=True)
    (copy / "files/rules/limits.yaml").write_text(
        "groups:\n  - name: limits\n    rules:\n      - alert: Near\n        expr: podmeter_memory_limit_ratio > 0.9\n"
        "        annotations: {summary: 'pod {{ $labels.pod }}'}\n"
    )
    (copy / "files/dashboards").mkdir()
    (copy / "files/dashboards/pods.json").write_text('{\n  "title": "Pods {{pod}}",\n\n  "panels": []\n}\n')
    return copy


def program():
    """Podmeter itself, where it was built."""
    path = Path(os.environ.get("PODMETER_TEST_BIN") or ROOT / "target/image/podmeter")
    return path if path.exists() else None
