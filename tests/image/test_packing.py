"""Packing is a function of the program and the commit, and the Dockerfile says the same as the script."""

import hashlib
import re
import shlex

import archive
import pytest

IMAGES = (archive.OCI, archive.DOCKER)


def sums():
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in IMAGES]


def packed_as(**settings):
    """The digest, and the sums of both archives, with these settings; what was there is put back."""
    before = {path: path.read_bytes() for path in (*IMAGES, archive.OUT / "digest")}
    try:
        said = archive.output(archive.IMAGE / "pack", env={"PATH": "/usr/bin:/bin", **settings})
        return said.splitlines()[-1], sums()
    finally:
        for path, data in before.items():
            path.write_bytes(data)


@pytest.fixture(scope="module")
def here():
    return (archive.OUT / "digest").read_text().strip()


def test_packing_twice_gives_one_digest(here):
    again = packed_as(TZ="Pacific/Auckland", LC_ALL="C", HOME="/nonexistent")
    assert again == (here, sums())


def test_the_name_is_no_part_of_the_digest_and_the_time_is(here):
    assert packed_as(IMAGE="registry.example/podmeter")[0] == here
    assert packed_as(SOURCE_DATE_EPOCH="1")[0] != here


def test_the_dockerfile_makes_the_same_image():
    said = {}
    lines = (archive.IMAGE / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    for line in lines[lines.index("FROM scratch") :]:
        word, _, rest = line.partition(" ")
        said.setdefault(word, []).append(rest)
    config = archive.config(archive.members(archive.OCI))["config"]
    assert said["USER"] == [config["User"]]
    assert said["WORKDIR"] == [config["WorkingDir"]]
    assert said["ENTRYPOINT"] == [f'["{config["Entrypoint"][0]}"]'] and len(config["Entrypoint"]) == 1
    assert said["CMD"] == [f'["{config["Cmd"][0]}"]'] and len(config["Cmd"]) == 1
    [labels] = said["LABEL"]
    labels = dict(word.split("=", 1) for word in shlex.split(labels))
    # Only git knows these; an engine sets its own time, and the revision is an argument.
    ours = {key: value for key, value in config["Labels"].items() if not re.search(r"\.(created|revision)$", key)}
    assert labels.pop("org.opencontainers.image.revision") == "$REVISION"
    assert labels == ours
    sources = {words[-2].removeprefix("/podmeter/target/image/") for words in map(str.split, said["COPY"])}
    assert sources == {"deploy/image/root", "LICENSE", "podmeter"}
