"""The program of the image runs by itself, without a shell, a loader or a library, as a user that owns nothing."""

import os
import shlex
import shutil
import sys
from pathlib import Path

import archive
import pytest

root_only = pytest.mark.skipif(not archive.is_root(), reason="only root can change the root folder")
USER = "65532:65532"


@pytest.fixture
def rootfs(tmp_path):
    return archive.unpacked(tmp_path / "root")


def inside(rootfs, *command):
    """Runs a command of the image in namespaces of its own, with what a runtime and the DaemonSet mount."""
    mounts = []
    for source, place in (("proc", "proc"), ("proc", "host/proc"), ("sys/fs/cgroup", "host/sys/fs/cgroup")):
        (rootfs / place).mkdir(parents=True)
        mounts.append(f"mount --rbind /{source} {rootfs}/{place}")
    run = shlex.join(["chroot", f"--userspec={USER}", "--groups=", str(rootfs), *command])
    environment = {"PATH": os.environ["PATH"]}
    return archive.output("unshare", "--mount", "--net", "sh", "-c", " && ".join([*mounts, run]), env=environment, timeout=60)


def test_program_of_the_image_is_the_one_that_the_suites_run():
    with archive.layer(archive.members(archive.OCI)) as tar:
        assert tar.extractfile("podmeter").read() == archive.PROGRAM.read_bytes()
    if tested := os.environ.get("PODMETER_TEST_BIN"):
        assert Path(tested).read_bytes() == archive.PROGRAM.read_bytes()


def test_program_is_static_and_is_loaded_anywhere_in_memory():
    text = archive.output("readelf", "--wide", "--file-header", "--program-headers", "--dynamic", archive.PROGRAM)
    assert "DYN (" in text and "GNU_RELRO" in text
    assert "INTERP" not in text and "(NEEDED)" not in text
    [stack] = [line for line in text.splitlines() if "GNU_STACK" in line]
    assert " RW " in stack


def test_program_names_no_folder_of_the_machine_that_built_it():
    data = archive.PROGRAM.read_bytes()
    homes = {archive.ROOT, Path.home() / ".cargo", Path.home() / ".rustup"} | {Path(os.environ.get("CARGO_HOME") or "/nonexistent")}
    assert {str(home) for home in homes if os.fsencode(home) in data} == set()
    assert b"/crates/tokio-" in data, "paths are not there at all, so nothing was shown"


@root_only
def test_program_runs_in_an_empty_root_as_nobody(rootfs):
    assert inside(rootfs, "/podmeter", "--version").startswith("podmeter ")


@root_only
def test_program_measures_in_an_empty_root_as_nobody(rootfs):
    roots = ("--cgroup-root", "/host/sys/fs/cgroup", "--proc-root", "/host/proc")
    page = inside(rootfs, "/podmeter", "once", "--standalone", *roots)
    assert "podmeter_build_info{" in page and "node_memory_MemTotal_bytes " in page


@root_only
@pytest.mark.parametrize("name", ["pod.hosts.test", "pod.dns.test"])
def test_names_are_found_in_the_hosts_file_and_by_dns(rootfs, name):
    (rootfs / "etc/hosts").write_text("127.0.0.1 pod.hosts.test\n")
    (rootfs / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    python = shutil.which("python3") or sys.executable
    names = Path(__file__).parent / "names.py"
    command = [python, str(names), name, "chroot", f"--userspec={USER}", "--groups=", str(rootfs)]
    said = archive.output("unshare", "--net", *command, timeout=60)
    asked = ["pod.dns.test"] if name == "pod.dns.test" else []
    assert said.split() == ["asked:", *asked, "reached:", f"{name}:9464"]
