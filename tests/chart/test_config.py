"""The configuration that the chart writes is one that Podmeter itself takes, and pods follow it."""

import re
import subprocess

import pytest
import yaml

import helm

# Keys that came with the chart. A program from before them refuses these and must take all the rest.
CAME_WITH_THE_CHART = {"access", "tls", "state", "kubernetes.diagnose", "kubernetes.events", "labels.namespace"}
# What is mounted where.
FILES = {
    "/secrets/affinity": {"key": "k" * 64},
    "/etc/podmeter-tls": {"tls.crt": "", "tls.key": ""},
    "/etc/podmeter-clients": {"ca.crt": "", "ca.crl": ""},
    "/var/lib/podmeter": {},
}
UNKNOWN = re.compile(r"^config: ([\w.]+): unknown key", re.M)


@pytest.fixture(scope="module", autouse=True)
def certificates(tmp_path_factory):
    """A certificate that signed itself, and its empty revocation list."""
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "ca.cnf").write_text("[ca]\ndefault_ca=it\n[it]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=30\n")
    (folder / "index").touch()
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem"]
    openssl("req", "-x509", *key, "-out", "cert.pem", "-subj", "/CN=podmeter", "-days", "30", folder=folder)
    signed = ["-keyfile", "key.pem", "-cert", "cert.pem", "-out", "crl.pem"]
    openssl("ca", "-gencrl", "-config", "ca.cnf", *signed, folder=folder)
    certificate, key, crl = ((folder / name).read_text() for name in ("cert.pem", "key.pem", "crl.pem"))
    FILES["/etc/podmeter-tls"] = {"tls.crt": certificate, "tls.key": key}
    FILES["/etc/podmeter-clients"] = {"ca.crt": certificate, "ca.crl": crl}


def openssl(*words, folder):
    subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)


@pytest.mark.parametrize("path", helm.TABLE, ids=lambda path: path.stem)
def test_podmeter_takes_the_configuration(path, tmp_path):
    if helm.program() is None:
        pytest.skip("podmeter is not built (make build)")
    config = config_of(helm.of_table(path))
    told = check(config, tmp_path)
    unknown = set(UNKNOWN.findall(told))
    if unknown and unknown <= CAME_WITH_THE_CHART:
        for key in unknown:
            without(config, key)
        assert "config: " not in check(config, tmp_path)
        pytest.skip(f"this podmeter is older than {', '.join(sorted(unknown))}; it takes the rest")
    assert "config: " not in told


def test_a_wrong_configuration_would_be_found(tmp_path):
    if helm.program() is None:
        pytest.skip("podmeter is not built (make build)")
    assert "proc: unknown key" not in check({"proc": "/proc"}, tmp_path)
    assert set(UNKNOWN.findall(check({"prok": "/proc"}, tmp_path))) == {"prok"}


def test_the_defaults_say_no_more_than_the_chart_has_to():
    assert config_of(helm.render()) == {
        "listen": ["0.0.0.0:9464"],
        "cgroup": {"root": "/host/sys/fs/cgroup"},
        "proc": "/host/proc",
        "access": {"mode": "kubernetes"},
    }


def test_values_become_keys_and_numbers_stay_numbers():
    config = config_of(helm.of_table(next(path for path in helm.TABLE if path.stem == "everything")))
    assert config["listen"] == ["[::]:9900"]
    assert config["cgroup"] == {"root": "/host/sys/fs/cgroup", "subtree": "/kubepods"}
    assert config["access"] == {"mode": "kubernetes", "outage_grace": "5m"}
    assert config["kubernetes"] == {"events": ["stuck", "memory", "throttling"]}
    assert config["state"] == {"path": "/var/lib/podmeter"}
    assert config["tls"] == {
        "certificate": "/etc/podmeter-tls/tls.crt",
        "key": "/etc/podmeter-tls/tls.key",
        "client_ca": "/etc/podmeter-clients/ca.crt",
        "client_crl": "/etc/podmeter-clients/ca.crl",
    }
    assert config["proxy"]["limits"]["connections"] == 1000000
    assert config["proxy"]["listen"] == ["[::]:8080"] and config["proxy"]["listen_tls"] == ["[::]:8443"]
    assert config["proxy"]["publish_address"] == ["192.0.2.1", "lb.example"]


def test_every_path_of_the_configuration_is_mounted():
    for path in helm.TABLE:
        things = helm.of_table(path)
        pod = helm.only(things, "DaemonSet")["spec"]["template"]["spec"]
        mounts = [mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]]
        for named in re.findall(r"(?:^|[ \"])(/(?:etc|host|var|secrets)/[^\s\"]+)", yaml.safe_dump(config_of(things))):
            assert any(named == mount or named.startswith(mount + "/") for mount in mounts), (path.stem, named)


def test_probes_and_annotations_follow_tls_and_the_port():
    things = helm.render("--set", "tls.secretName=x,metrics.port=9900")
    template = helm.only(things, "DaemonSet")["spec"]["template"]
    assert template["metadata"]["annotations"]["prometheus.io/scheme"] == "https"
    container = template["spec"]["containers"][0]
    for probe, url in (("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": url, "port": "metrics", "scheme": "HTTPS"}
    assert container["ports"] == [{"name": "metrics", "containerPort": 9900, "protocol": "TCP"}]
    assert helm.only(things, "Service")["spec"]["clusterIP"] == "None"


def test_pods_roll_for_the_configuration_but_not_for_routes_which_podmeter_follows():
    route = "proxy.enabled=true,config.proxy.routes[0].name=a"
    assert checksum("interval=1m") != checksum("interval=2m")
    assert checksum("interval=1m", "podAnnotations.x=y") == checksum("interval=1m")
    assert checksum("interval=1m", route) == checksum("interval=1m", route + "b")
    assert checksum("interval=1m", route) != checksum("interval=1m", route + ",config.proxy.workers=2")


def checksum(*settings):
    words = [word for setting in settings for word in ("--set", setting.replace("interval=", "config.interval="))]
    return helm.only(helm.render(*words), "DaemonSet")["spec"]["template"]["metadata"]["annotations"]["checksum/config"]


def config_of(things):
    maps = [it for it in things if it["kind"] == "ConfigMap" and "podmeter.yaml" in it["data"]]
    assert len(maps) == 1
    return yaml.safe_load(maps[0]["data"]["podmeter.yaml"])


def check(config, folder):
    """What `podmeter check` says of it, with files at hand in place of the pod's."""
    text = yaml.safe_dump(config).replace("/host/", "/")
    for name, files in FILES.items():
        here = folder / name.strip("/")
        here.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (here / file).write_text(content)
        text = text.replace(f" {name}", f" {here}")
    (folder / "podmeter.yaml").write_text(text)
    # Not standalone, since Ingress objects need an API server: this one refuses connections.
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        "{apiVersion: v1, kind: Config, current-context: it, users: [{name: it, user: {}}],"
        " clusters: [{name: it, cluster: {server: 'http://127.0.0.1:1'}}],"
        " contexts: [{name: it, context: {cluster: it, user: it}}]}"
    )
    command = [helm.program(), "check", "--config", "podmeter.yaml", "--node", "n1", "--kubeconfig", kubeconfig]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={}, cwd=folder)
    return done.stdout + done.stderr


def without(config, key):
    *above, last = key.split(".")
    for part in above:
        config = config[part]
    del config[last]
