"""The plain manifests are the chart's, and nothing that is generated is stale."""

import shutil
import subprocess
import sys

import kubernetes_validate
import yaml

import helm

DEPLOY = helm.ROOT / "deploy"


def generate(*words, root=helm.ROOT):
    environment = {"PATH": "/usr/bin:/bin", "HELM": str(helm.TOOLS / "helm")}
    return subprocess.run(
        [sys.executable, root / "deploy/generate", *words], capture_output=True, text=True, env=environment
    )


def test_nothing_that_is_generated_is_stale():
    done = generate("--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_stale_would_be_found(tmp_path):
    root = copied(tmp_path)
    assert generate("--check", root=root).returncode == 0
    values = root / "deploy/chart/values.yaml"
    values.write_text(values.read_text().replace("cpu: 50m", "cpu: 51m"))
    done = generate("--check", root=root)
    assert done.returncode == 1
    for name in ("deploy/chart/README.md", "deploy/manifests/daemonset.yaml"):
        assert name in done.stdout
    assert generate(root=root).returncode == 0
    assert generate("--check", root=root).returncode == 0


def test_rules_and_dashboards_are_copied_into_the_chart_and_leave_it_again(tmp_path):
    root = copied(tmp_path)
    shutil.rmtree(root / "dashboards")
    (root / "dashboards/rules").mkdir(parents=True)
    (root / "dashboards/rules/a.yaml").write_text("groups: []\n")
    (root / "dashboards/pods.json").write_text("{}\n")
    assert generate(root=root).returncode == 0
    files = root / "deploy/chart/files"
    assert (files / "rules/a.yaml").read_text() == "groups: []\n" and (files / "dashboards/pods.json").exists()
    (root / "dashboards/rules/a.yaml").unlink()
    assert generate("--check", root=root).returncode == 1
    assert generate(root=root).returncode == 0
    assert not (files / "rules/a.yaml").exists()


def test_kustomize_builds_what_the_chart_renders():
    built = load(helm.text("kustomize", DEPLOY, tool="kubectl"))
    rendered = helm.render("--set", "namespace.create=true")
    for thing in rendered:
        labels = thing["metadata"]["labels"]
        del labels["helm.sh/chart"], labels["app.kubernetes.io/managed-by"]
    assert keyed(built) == keyed(rendered)


def test_a_role_stands_before_its_binding():
    for path in (DEPLOY / "manifests").glob("rbac*.yaml"):
        roles = [it for it in load(path.read_text()) if it["kind"] != "ServiceAccount"]
        for role, binding in zip(roles[::2], roles[1::2], strict=True):
            assert binding["roleRef"]["name"] == role["metadata"]["name"], path


def test_manifests_are_valid_and_say_nothing_of_helm():
    for path in sorted((DEPLOY / "manifests").iterdir()):
        text = path.read_text()
        assert "helm.sh" not in text and "managed-by" not in text, path
        for thing in load(text):
            kubernetes_validate.validate(thing, kubernetes_validate.latest_version(), strict=True)


def test_the_overlay_of_the_page_sets_the_image_and_the_configuration(tmp_path):
    shutil.copytree(DEPLOY, tmp_path / "podmeter/deploy")
    page = (DEPLOY / "README.md").read_text()
    overlay = page.split("```yaml\n# kustomization.yaml\n")[1].split("```")[0]
    (tmp_path / "kustomization.yaml").write_text(overlay.replace("REGISTRY", "registry.example"))
    built = load(helm.text("kustomize", tmp_path, tool="kubectl"))
    pod = helm.only(built, "DaemonSet")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == "registry.example/podmeter:0.1.0"
    config = yaml.safe_load(helm.only(built, "ConfigMap")["data"]["podmeter.yaml"])
    ours = yaml.safe_load(helm.only(helm.render(), "ConfigMap")["data"]["podmeter.yaml"])
    # The chart's own, and one key more.
    assert config == ours | {"interval": "15s"}


def test_the_optional_manifests_are_not_applied_by_themselves():
    built = helm.kinds(load(helm.text("kustomize", DEPLOY, tool="kubectl")))
    for name in ("rbac-proxy", "rbac-events", "ingressclass"):
        assert not built & helm.kinds(load((DEPLOY / f"manifests/{name}.yaml").read_text()))


def test_everything_that_is_installed_is_in_the_namespace_or_named_after_podmeter():
    for thing in load(helm.text("kustomize", DEPLOY, tool="kubectl")):
        meta = thing["metadata"]
        assert meta["name"].startswith("podmeter") and meta.get("namespace", "podmeter") == "podmeter"


def test_yaml_is_tidy():
    command = [sys.executable, "-m", "yamllint", "--strict", "-c", "tests/chart/yamllint.yaml"]
    files = ["deploy/manifests", "deploy/kustomization.yaml", "tests/chart/values"]
    chart = ["deploy/chart/values.yaml", "deploy/chart/Chart.yaml"]
    done = subprocess.run(command + files + chart, capture_output=True, text=True, cwd=helm.ROOT)
    assert done.returncode == 0, done.stdout


def copied(folder):
    shutil.copytree(DEPLOY, folder / "deploy")
    shutil.copytree(helm.ROOT / "dashboards", folder / "dashboards")
    shutil.copy(helm.ROOT / "Cargo.toml", folder)
    return folder


def load(text):
    return [thing for thing in yaml.safe_load_all(text) if thing]


def keyed(things):
    return {(it["kind"], it["metadata"].get("namespace"), it["metadata"]["name"]): it for it in things}
