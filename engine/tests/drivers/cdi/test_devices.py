"""CDI specification files: which devices they describe, and what is refused."""

import json
import os
from pathlib import Path

import pytest

from engine.drivers.cdi.devices import CdiDevices, UnresolvableDevices
from engine.drivers.cdi.spec_file import UnreadableSpec, parse_spec


def spec(kind: str, *names: str, **edits: object) -> str:
    devices = [{"name": name, "containerEdits": {"env": [f"DEVICE={name}"]}} for name in names]
    return json.dumps({"cdiVersion": "0.7.0", "kind": kind, "devices": devices, "containerEdits": edits})


@pytest.fixture
def directories(tmp_path):
    for name in ("etc", "run"):
        (tmp_path / name).mkdir()
    return [str(tmp_path / "etc"), str(tmp_path / "run"), str(tmp_path / "absent")]


def test_the_later_directory_counts(directories, tmp_path):
    (tmp_path / "etc/a.json").write_text(spec("v.com/c", "x", "y"))
    (tmp_path / "run/a.json").write_text(spec("v.com/c", "x", env=["KIND=run"]))
    found = CdiDevices(directories)
    assert found.names() == ["v.com/c=x", "v.com/c=y"]
    assert [edits.env for edits in found.edits(["v.com/c=x"])] == [["KIND=run"], ["DEVICE=x"]]


def test_edits_of_a_kind_come_once(directories, tmp_path):
    (tmp_path / "etc/a.json").write_text(spec("v.com/c", "x", "y", env=["KIND=1"]))
    edits = CdiDevices(directories).edits(["v.com/c=y", "v.com/c=x"])
    assert [e.env for e in edits] == [["KIND=1"], ["DEVICE=y"], ["DEVICE=x"]]


def test_two_files_of_a_directory_conflict(directories, tmp_path):
    (tmp_path / "etc/a.json").write_text(spec("v.com/c", "x", "y"))
    (tmp_path / "etc/b.json").write_text(spec("v.com/c", "x"))
    assert CdiDevices(directories).names() == ["v.com/c=y"]


def test_what_is_missing_is_named(directories):
    with pytest.raises(UnresolvableDevices) as raised:
        CdiDevices(directories).edits(["v.com/c=x", "bad"])
    assert raised.value.args == ("v.com/c=x", "bad")


def test_yaml(directories, tmp_path):
    (tmp_path / "etc/a.yaml").write_text(
        'cdiVersion: "0.5.0"\nkind: v.com/c\ndevices:\n- name: "0"\n  containerEdits:\n    env:\n    - A=b\n'
    )
    (tmp_path / "etc/notes.txt").write_text("no specification")
    [_, edits] = CdiDevices(directories).edits(["v.com/c=0"])
    assert edits.env == ["A=b"]


def test_a_node_without_numbers_is_the_hosts(directories, tmp_path):
    nodes = [
        {"path": "/dev/mine", "hostPath": "/dev/null"},
        {"path": "/dev/other", "type": "c", "major": 7, "minor": 8},
    ]
    (tmp_path / "etc/a.json").write_text(spec("v.com/c", "x", deviceNodes=nodes))
    [edits, _] = CdiDevices(directories).edits(["v.com/c=x"])
    mine, other = edits.device_nodes
    number = Path("/dev/null").stat().st_rdev
    assert (mine.type, mine.major, mine.minor) == ("c", os.major(number), os.minor(number))
    assert (other.major, other.minor, other.file_mode) == (7, 8, None)


@pytest.mark.parametrize(
    ("data", "suffix"),
    [
        (b"{", ".json"),
        (b"[]", ".json"),
        (b"a: [", ".yaml"),
        (b"&a [*a]", ".yaml"),
        (spec("no-slash", "x").encode(), ".json"),
        (spec("v.com/c").encode(), ".json"),
        (spec("v.com/c", "x", "x").encode(), ".json"),
        (spec("v.com/c", "a b").encode(), ".json"),
        (spec("v.com/c", "x", deviceNodes="none").encode(), ".json"),
    ],
)
def test_what_is_no_specification(data, suffix):
    with pytest.raises(UnreadableSpec):
        parse_spec(data, suffix)
