"""Starting without the runtime, compiled filters, choice of a runtime."""

import asyncio
import base64
import os
from pathlib import Path

import pytest

from engine.drivers.runtime.failures import RuntimeFailed
from engine.drivers.runtime.oci import Make, OciRuntime, RuntimeProgram, Runtimes, UnknownRuntime, crun_takes_host

_FILTER = b"\x01\x02\x03\x04\x05\x06\x07\x08"


def _runtime(make: Make, state: Path) -> OciRuntime:
    return OciRuntime(RuntimeProgram(str(make), f"/usr/bin/{make}", make), state)


def _fifo(state: Path) -> Path:
    (state / "c").mkdir()
    path = state / "c" / "exec.fifo"
    os.mkfifo(path)
    return path


async def test_crun_is_started_by_a_byte(tmp_path: Path) -> None:
    fifo = _fifo(tmp_path)
    waiting = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    await _runtime(Make.CRUN, tmp_path).start("c", os.getpid())
    assert os.read(waiting, 10) == b"\0"
    assert not fifo.exists()
    os.close(waiting)


async def test_crun_without_its_process(tmp_path: Path) -> None:
    _fifo(tmp_path)
    with pytest.raises(RuntimeFailed, match="process is gone"):
        await _runtime(Make.CRUN, tmp_path).start("c", os.getpid())


async def test_runc_is_started_by_reading(tmp_path: Path) -> None:
    fifo = _fifo(tmp_path)
    starting = asyncio.create_task(_runtime(Make.RUNC, tmp_path).start("c", os.getpid()))
    await asyncio.sleep(0.01)
    fd = os.open(fifo, os.O_WRONLY)
    os.write(fd, b"0")
    os.close(fd)
    await starting
    assert not fifo.exists()


async def test_runc_whose_process_ends_before(tmp_path: Path) -> None:
    _fifo(tmp_path)
    child = os.posix_spawn("/bin/true", ["true"], {})
    with pytest.raises(RuntimeFailed, match="process is gone"):
        await _runtime(Make.RUNC, tmp_path).start("c", child)
    os.waitpid(child, 0)


async def test_second_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RuntimeFailed, match="already running"):
        await _runtime(Make.RUNC, tmp_path).start("c", os.getpid())


async def test_compiled_filter_is_used_again(tmp_path: Path) -> None:
    runtime = _runtime(Make.CRUN, tmp_path)
    spec = {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}}, "annotations": {"a": "b"}}
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "seccomp.bpf").write_bytes(_FILTER)
    assert runtime.prepared(spec) is spec
    await runtime.learn("c", spec)
    encoded = base64.b64encode(_FILTER).decode()
    assert runtime.prepared(spec)["annotations"] == {"a": "b", "run.oci.seccomp_bpf_data": encoded}
    other = {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_KILL"}}}
    assert runtime.prepared(other) is other
    without: dict[str, object] = {"linux": {}}
    await runtime.learn("c", without)
    assert runtime.prepared(without) is without


async def test_broken_filter_is_not_kept(tmp_path: Path) -> None:
    runtime = _runtime(Make.CRUN, tmp_path)
    spec = {"linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}}}
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "seccomp.bpf").write_bytes(b"odd")
    await runtime.learn("c", spec)
    await runtime.learn("missing", spec)
    assert runtime.prepared(spec) is spec


async def test_delete_of_the_unknown_starts_nothing(tmp_path: Path) -> None:
    await OciRuntime(RuntimeProgram("x", "/nonexistent"), tmp_path).delete("c", force=True)


def test_runtimes_by_name(tmp_path: Path) -> None:
    crun, runc = _runtime(Make.CRUN, tmp_path), _runtime(Make.RUNC, tmp_path)
    runtimes = Runtimes({"crun": crun, "runc": runc}, "crun")
    assert runtimes.get("") is crun
    assert runtimes.get("io.containerd.runc.v2") is crun
    assert runtimes.get("runc") is runc
    with pytest.raises(UnknownRuntime, match=r"^unknown or invalid runtime name: nope$"):
        runtimes.get("nope")


@pytest.mark.parametrize(
    ("files", "fits"),
    [
        ({}, True),
        ({"cgroup.controllers": "cpu"}, True),
        ({"unified/cgroup.controllers": ""}, True),
        ({"unified/cgroup.controllers": "hugetlb\n"}, False),
    ],
)
def test_hosts_that_crun_takes(tmp_path: Path, files: dict[str, str], fits: bool) -> None:
    (tmp_path / "unified").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert crun_takes_host(tmp_path) is fits


def test_crun_with_systemd_gets_no_denials_of_single_devices(tmp_path: Path) -> None:
    program = RuntimeProgram("crun", "/usr/bin/crun", Make.CRUN)
    deny_all, allow = {"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 1, "minor": 3}
    deny_one = {"allow": False, "type": "c", "major": 10, "minor": 229, "access": "rwm"}
    spec = {"linux": {"resources": {"devices": [deny_all, allow, deny_one]}}}
    prepared = OciRuntime(program, tmp_path, systemd_cgroup=True).prepared(spec)
    assert prepared["linux"]["resources"]["devices"] == [deny_all, allow]
    assert OciRuntime(program, tmp_path).prepared(spec) is spec


@pytest.mark.parametrize(
    ("version", "reads"), [("1.1.5", False), ("1.1.11", True), ("1.1.15+ds1", True), ("1.2.0", True)]
)
def test_runc_gets_no_mappings_that_it_reads(tmp_path: Path, version: str, reads: bool) -> None:
    runtime = OciRuntime(RuntimeProgram("runc", "/usr/sbin/runc", Make.RUNC, version), tmp_path)
    mappings = {"uidMappings": [{"containerID": 0}], "gidMappings": [{"containerID": 0}]}
    joined = {"linux": {**mappings, "namespaces": [{"type": "user", "path": "/proc/7/ns/user"}, {"type": "pid"}]}}
    made = {"linux": {**mappings, "namespaces": [{"type": "user"}]}}
    assert runtime.prepared(made) == made
    assert ("uidMappings" in runtime.prepared(joined)["linux"]) is not reads
    assert ("gidMappings" in runtime.prepared(joined)["linux"]) is not reads
