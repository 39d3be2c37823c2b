"""Names of cgroups, and what is read from them, on trees that look like v1 and v2."""

import os
from pathlib import Path

import pytest

from engine.drivers.cgroups import freezer, paths
from engine.drivers.cgroups.cgroups import Cgroups, Settings
from engine.drivers.cgroups.paths import Driver

_ID = "ab" * 32


def test_names_are_those_of_dockerd() -> None:
    assert paths.runtime_path(Driver.CGROUPFS, "/docker", _ID) == f"/docker/{_ID}"
    assert paths.runtime_path(Driver.CGROUPFS, "mine", _ID) == f"/mine/{_ID}"
    assert paths.runtime_path(Driver.SYSTEMD, "system.slice", _ID) == f"system.slice:docker:{_ID}"
    assert paths.relative_path(Driver.SYSTEMD, "a-b.slice", _ID) == f"a.slice/a-b.slice/docker-{_ID}.scope"
    assert paths.slice_path("-.slice") == ""


def test_processes_own_path_is_cut_at_the_container() -> None:
    assert paths.own_part(f"/docker/{_ID}/init.scope", _ID) == f"docker/{_ID}"
    assert paths.own_part(f"/system.slice/docker-{_ID}.scope", _ID) == f"system.slice/docker-{_ID}.scope"
    assert paths.own_part("/elsewhere/x", _ID) == "elsewhere/x"


def test_proc_cgroup() -> None:
    text = "3:cpu,cpuacct:/a\n2:name=systemd:/b\n0::/c:d\n"
    assert paths.parse_proc_cgroup(text) == {"cpu": "/a", "cpuacct": "/a", "systemd": "/b", "": "/c:d"}


def _v2(root: Path) -> Cgroups:
    (root / "cgroup.controllers").write_text("memory")
    return Cgroups(Settings(driver="cgroupfs", root=root))


def test_memory_kills_v2(tmp_path: Path) -> None:
    cgroups = _v2(tmp_path)
    assert not cgroups.oom_killed(_ID)
    directory = tmp_path / "docker" / _ID
    directory.mkdir(parents=True)
    (directory / "memory.events").write_text("low 0\noom 3\noom_kill 0\n")
    assert not cgroups.oom_killed(_ID)
    (directory / "memory.events").write_text("low 0\noom 3\noom_kill 1\n")
    assert cgroups.oom_killed(_ID)


def test_memory_kills_v1(tmp_path: Path) -> None:
    directory = tmp_path / "memory" / "p" / _ID
    directory.mkdir(parents=True)
    (directory / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert Cgroups(Settings(driver="cgroupfs", root=tmp_path)).oom_killed(_ID, "/p")


async def test_pids_of_nested_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cgroups = _v2(tmp_path)
    directory = tmp_path / "docker" / _ID
    (directory / "inner").mkdir(parents=True)
    (directory / "cgroup.procs").write_text("12\n")
    (directory / "inner" / "cgroup.procs").write_text("7\n13\n")
    monkeypatch.setattr(paths, "parse_proc_cgroup", lambda _: {"": f"/docker/{_ID}/inner"})
    assert await cgroups.pids(_ID, os.getpid()) == [7, 12, 13]


async def test_pids_of_nobody(tmp_path: Path) -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    assert await _v2(tmp_path).pids(_ID, child) == []


def test_freezing_writes_what_the_kernel_reads(tmp_path: Path) -> None:
    (tmp_path / "freezer.state").write_text("THAWED")
    freezer.set_v1(tmp_path, frozen=True)
    assert (tmp_path / "freezer.state").read_text() == "FROZEN"


async def test_what_has_ended_meanwhile_is_no_longer_frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cgroups = _v2(tmp_path)
    monkeypatch.setattr(paths, "parse_proc_cgroup", lambda _text: {"": f"/docker/{_ID}"})
    with pytest.raises(ProcessLookupError):
        await cgroups.thaw(_ID, os.getpid())


def test_unknown_driver(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nope"):
        Cgroups(Settings(driver="nope", root=tmp_path))


async def test_limits_are_lifted_v2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cgroups, directory = _v2(tmp_path), tmp_path / "docker" / _ID
    directory.mkdir(parents=True)
    monkeypatch.setattr(Cgroups, "_living", lambda *_: directory)
    await cgroups.lift(_ID, 7, ["pids", "cpu"])
    assert ((directory / "pids.max").read_text(), (directory / "cpu.max").read_text()) == ("max", "max")


async def test_what_a_runtime_has_left_goes(tmp_path: Path) -> None:
    (tmp_path / "cpu" / "docker" / _ID).mkdir(parents=True)
    (tmp_path / "pids" / "docker" / _ID / "in use").mkdir(parents=True)
    cgroups = Cgroups(Settings(driver="cgroupfs", root=tmp_path))
    await cgroups.remove(_ID)
    await cgroups.remove(_ID)
    assert not (tmp_path / "cpu" / "docker" / _ID).exists()
    assert (tmp_path / "pids" / "docker" / _ID).exists()
