"""The archives hold the image and nothing else, and are what the OCI's specification and other programs say they should be."""

import gzip
import hashlib
import json
import shutil
import stat

import archive
import pytest

MIB = 1 << 20
FILES = {"LICENSE", "etc/group", "etc/nsswitch.conf", "etc/passwd", "podmeter"}
FOLDERS = {"etc"}


@pytest.fixture(scope="module")
def files():
    return archive.members(archive.OCI)


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def test_every_blob_is_named_by_what_it_holds_and_is_named_by_a_descriptor(files):
    assert json.loads(files["oci-layout"][1]) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads(files["index.json"][1])
    assert (index["schemaVersion"], index["mediaType"]) == (2, "application/vnd.oci.image.index.v1+json")
    manifest = archive.manifest(files)
    [entry], [layer] = index["manifests"], manifest["layers"]
    assert manifest["schemaVersion"] == 2
    kinds = {
        "application/vnd.oci.image.manifest.v1+json": entry,
        "application/vnd.oci.image.config.v1+json": manifest["config"],
        "application/vnd.oci.image.layer.v1.tar+gzip": layer,
    }
    assert entry["mediaType"] == manifest["mediaType"]
    for kind, descriptor in kinds.items():
        data = archive.blob(files, descriptor)
        assert (descriptor["mediaType"], descriptor["digest"], descriptor["size"]) == (kind, digest(data), len(data))
    blobs = {"blobs/" + descriptor["digest"].replace(":", "/") for descriptor in kinds.values()}
    assert set(files) == blobs | {"blobs", "blobs/sha256", "oci-layout", "index.json"}
    assert (archive.OUT / "digest").read_text().strip() == entry["digest"]


def test_configuration_fits_the_layer_and_the_machine(files):
    config, [layer] = archive.config(files), archive.manifest(files)["layers"]
    unpacked = gzip.decompress(archive.blob(files, layer))
    assert config["rootfs"] == {"type": "layers", "diff_ids": [digest(unpacked)]}
    assert len(config["history"]) == 1 and config["os"] == "linux"
    [entry] = json.loads(files["index.json"][1])["manifests"]
    assert entry["platform"] == {"architecture": config["architecture"], "os": "linux"}


def test_it_runs_podmeter_as_nobody_in_particular(files):
    config = archive.config(files)["config"]
    assert (config["User"], config["Entrypoint"], config["Cmd"]) == ("65532:65532", ["/podmeter"], ["run"])
    with archive.layer(files) as tar:
        passwd = tar.extractfile("etc/passwd").read().decode().split(":")
        group = tar.extractfile("etc/group").read().decode().split(":")
    assert passwd[2:4] == ["65532", "65532"] and group[2] == "65532"


def test_labels_say_what_it_is_and_where_it_came_from(files):
    labels = archive.config(files)["config"]["Labels"]
    assert labels == archive.manifest(files)["annotations"]
    short = {key.removeprefix("org.opencontainers.image."): value for key, value in labels.items()}
    assert short.keys() >= {"title", "description", "version", "licenses", "created"}
    assert archive.output(archive.PROGRAM, "--version") == f"podmeter {short['version']}\n"
    assert short["licenses"] == "Apache-2.0"
    if (archive.ROOT / ".git").exists():
        assert short["revision"].removesuffix("-dirty") == archive.output("git", "rev-parse", "HEAD").strip()


def test_only_the_files_expected_are_in_it_and_only_the_program_can_be_run(files):
    with archive.layer(files) as tar:
        entries = tar.getmembers()
    assert {entry.name for entry in entries if entry.isfile()} == FILES
    assert {entry.name for entry in entries if entry.isdir()} == FOLDERS
    assert len(entries) == len(FILES | FOLDERS), "links, devices, or a name twice"
    for entry in entries:
        runs = entry.isdir() or entry.name == "podmeter"
        assert stat.S_IMODE(entry.mode) == (0o755 if runs else 0o644), entry.name
        assert (entry.uid, entry.gid) == (0, 0), entry.name


def test_names_of_owners_times_and_order_tell_nothing_of_the_machine(files):
    with archive.layer(files) as tar:
        entries = tar.getmembers()
    every = entries + [info for info, _ in files.values()]
    assert {(info.uname, info.gname, info.uid, info.gid) for info in every} == {("", "", 0, 0)}
    assert len({info.mtime for info in every}) == 1
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)


def test_it_stays_under_25_megabytes(files):
    [layer] = archive.manifest(files)["layers"]
    assert layer["size"] < 25 * MIB
    assert len(gzip.decompress(archive.blob(files, layer))) < 25 * MIB


def test_the_other_archive_holds_the_same_image(files):
    other = archive.members(archive.DOCKER)
    [image] = json.loads(other["manifest.json"][1])
    [layer] = image["Layers"]
    assert other.keys() == {"manifest.json", image["Config"], layer}
    assert other[image["Config"]][1] == archive.blob(files, archive.manifest(files)["config"])
    [packed] = archive.manifest(files)["layers"]
    assert other[layer][1] == gzip.decompress(archive.blob(files, packed))


def test_skopeo_reads_both_archives_and_keeps_the_digest(tmp_path):
    if not shutil.which("skopeo"):
        pytest.skip("there is no skopeo")
    config = archive.config(archive.members(archive.OCI))
    for source in (f"oci-archive:{archive.OCI}", f"docker-archive:{archive.DOCKER}"):
        assert json.loads(archive.output("skopeo", "inspect", "--config", source))["config"] == config["config"]
    copy = tmp_path / "copy"
    archive.output("skopeo", "--insecure-policy", "copy", "--preserve-digests", f"oci-archive:{archive.OCI}", f"oci:{copy}:x")
    [entry] = json.loads((copy / "index.json").read_text())["manifests"]
    assert entry["digest"] == (archive.OUT / "digest").read_text().strip()
