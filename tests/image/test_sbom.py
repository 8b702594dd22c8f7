"""The bill of materials lists the crates that the program is made of, and no other."""

import json
import re

import archive
import pytest

SBOM = archive.OUT / "podmeter.cdx.json"


@pytest.fixture(scope="module")
def bill():
    return json.loads(SBOM.read_text())


def parts():
    """Names and versions of what Cargo takes for the program on this machine, macros among them, tests and build scripts not."""
    flags = ("--package", "agent", "--edges", "normal", "--prefix", "none", "--locked", "--no-dedupe", "--format", "{p}")
    return {re.match(r"(\S+) v(\S+)", line).groups() for line in archive.output("cargo", "tree", *flags).splitlines()}


def test_it_lists_exactly_the_crates_that_the_program_is_made_of(bill):
    listed = [(part["name"], part["version"]) for part in bill["components"]]
    program = ("agent", bill["metadata"]["component"]["version"])
    assert len(listed) == len(set(listed))
    assert set(listed) | {program} == parts() and program not in listed


def test_scanners_know_what_each_part_is(bill):
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    for part in bill["components"]:
        assert part["purl"].startswith(f"pkg:cargo/{part['name']}@{part['version']}")
        assert part["licenses"], part["name"]
        assert part["name"] == "collector" or part["hashes"][0]["alg"] == "SHA-256", part["name"]
    known = {part["bom-ref"] for part in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    assert {edge["ref"] for edge in bill["dependencies"]} == known


def test_it_tells_nothing_of_the_machine_and_no_other_time(bill):
    assert "serialNumber" not in bill
    created = archive.config(archive.members(archive.OCI))["created"]
    assert bill["metadata"]["timestamp"].startswith(created.removesuffix("Z"))
    assert str(archive.ROOT) not in SBOM.read_text()
