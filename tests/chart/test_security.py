"""The pods keep to the restricted Pod Security profile, save for what is listed here.

Source: Kubernetes, "Pod Security Standards".
"""

import pytest

import helm

# The node's folders, each with whether Podmeter may only read it.
NODE_FOLDERS = {"/sys/fs/cgroup": True, "/proc": True, "/var/lib/podmeter": False}
# The kinds of volumes that the profile allows, as far as they are used.
ALLOWED_VOLUMES = {"configMap", "secret", "emptyDir"}
each = pytest.mark.parametrize("path", helm.TABLE, ids=lambda path: path.stem)


@each
def test_pods_keep_to_the_restricted_profile_but_for_the_nodes_folders(path):
    pod = pod_of(path)
    assert violations(pod) == {f"hostPath {volume['hostPath']['path']}" for volume in node_volumes(pod)}


@each
def test_only_the_two_folders_of_the_node_are_mounted_and_only_to_be_read(path):
    pod = pod_of(path)
    mounts = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert set(mounts) == {volume["name"] for volume in pod["volumes"]}
    for volume in node_volumes(pod):
        folder = volume["hostPath"]
        assert mounts[volume["name"]].get("readOnly", False) == NODE_FOLDERS[folder["path"]], folder
        assert folder["type"] == "Directory"
    writable = {name for name, mount in mounts.items() if not mount.get("readOnly")}
    assert writable <= {"state"}
    assert not [mount for mount in mounts.values() if "mountPropagation" in mount or "subPath" in mount]


def test_the_defaults_need_two_folders_and_no_more():
    pod = pod_of(next(path for path in helm.TABLE if path.stem == "defaults"))
    assert {volume["hostPath"]["path"] for volume in node_volumes(pod)} == {"/sys/fs/cgroup", "/proc"}
    bare = pod_of(next(path for path in helm.TABLE if path.stem == "minimal"))
    assert {volume["hostPath"]["path"] for volume in node_volumes(bare)} == {"/sys/fs/cgroup"}


def test_each_violation_would_be_found():
    pod = pod_of(next(path for path in helm.TABLE if path.stem == "minimal"))
    container = pod["containers"][0]
    spoil = [
        (pod, "hostNetwork", True),
        (pod, "hostPID", True),
        (pod, "hostIPC", True),
        (pod["securityContext"], "runAsNonRoot", False),
        (pod["securityContext"], "runAsUser", 0),
        (pod["securityContext"], "seccompProfile", {"type": "Unconfined"}),
        (pod["securityContext"], "sysctls", [{"name": "kernel.msgmax", "value": "1"}]),
        (container["securityContext"], "privileged", True),
        (container["securityContext"], "allowPrivilegeEscalation", True),
        (container["securityContext"], "readOnlyRootFilesystem", False),
        (container["securityContext"], "capabilities", {"drop": ["ALL"], "add": ["SYS_PTRACE"]}),
        (container["securityContext"], "capabilities", {"drop": ["NET_RAW"]}),
        (container["securityContext"], "procMount", "Unmasked"),
    ]
    known = violations(pod)
    for where, key, value in spoil:
        before = where.get(key)
        where[key] = value
        assert violations(pod) > known, key
        where.pop(key) if before is None else where.update({key: before})
    assert violations(pod) == known


def test_selinux_and_groups_are_only_as_asked_for():
    pod = pod_of(next(path for path in helm.TABLE if path.stem == "defaults"))
    assert "seLinuxOptions" not in pod["containers"][0]["securityContext"]
    assert "supplementalGroups" not in pod["securityContext"]


def test_the_port_of_the_node_is_there_only_when_asked_for():
    for path in helm.TABLE:
        ports = {port["name"]: port.get("hostPort") for port in pod_of(path)["containers"][0]["ports"]}
        expected = {"http": 80, "https": 443} if path.stem == "host-ports" else {}
        assert {name: port for name, port in ports.items() if port} == expected, path


def test_memory_has_a_limit_and_cpu_has_none():
    pod = pod_of(next(path for path in helm.TABLE if path.stem == "defaults"))
    resources = pod["containers"][0]["resources"]
    assert resources == {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}


def violations(pod):
    """What the restricted profile, and a root file system that can be written, say of a pod."""
    found = {key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)}
    context = pod["securityContext"]
    found |= {"sysctls"} if context.get("sysctls") else set()
    for volume in pod["volumes"]:
        kind = next(key for key in volume if key != "name")
        if kind not in ALLOWED_VOLUMES:
            found.add(f"{kind} {volume[kind]['path']}")
    for container in pod["containers"] + pod.get("initContainers", []):
        own = context | container["securityContext"]
        rules = {
            "privileged": not own.get("privileged"),
            "privilege escalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            "root": own.get("runAsNonRoot") is True and own.get("runAsUser") == 65532,
            "seccomp": own.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
            "procMount": own.get("procMount", "Default") == "Default",
            "root file system": own.get("readOnlyRootFilesystem") is True,
            "selinux": set(own.get("seLinuxOptions", {})) <= {"level", "type"},
        }
        found |= {name for name, is_kept in rules.items() if not is_kept}
    return found


def pod_of(path):
    return helm.only(helm.of_table(path), "DaemonSet")["spec"]["template"]["spec"]


def node_volumes(pod):
    return [volume for volume in pod["volumes"] if "hostPath" in volume]
