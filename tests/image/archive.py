"""Reads the archives that `make image` wrote. What the suite's files share, and nothing that decides whether a test passes."""

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "target/image"
OCI = OUT / "podmeter.oci.tar"
DOCKER = OUT / "podmeter.docker.tar"
PROGRAM = OUT / "podmeter"
IMAGE = ROOT / "deploy/image"


def members(path):
    """Every member of an archive by its name, with its bytes; folders have none."""
    with tarfile.open(path) as tar:
        return {info.name: (info, tar.extractfile(info).read() if info.isfile() else None) for info in tar}


def blob(files, descriptor):
    return files["blobs/" + descriptor["digest"].replace(":", "/")][1]


def manifest(files):
    [entry] = json.loads(files["index.json"][1])["manifests"]
    return json.loads(blob(files, entry))


def config(files):
    return json.loads(blob(files, manifest(files)["config"]))


def layer(files):
    """The image's one layer as a tar."""
    [descriptor] = manifest(files)["layers"]
    return tarfile.open(fileobj=io.BytesIO(blob(files, descriptor)))


def unpacked(folder):
    """The image's root below this folder, as a runtime makes it."""
    with layer(members(OCI)) as tar:
        # Pythons with filters want one to be named; older ones do not look at this.
        tar.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
        tar.extractall(folder)
    folder.chmod(0o755)
    return folder


def output(*words, **more):
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=ROOT, **more)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def is_root():
    return os.geteuid() == 0
