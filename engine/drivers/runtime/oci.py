"""The OCI runtimes of this host (`runc`, `crun`, whatever `--add-runtime` names) and what they are asked to do.

Creation and exec go through the monitor (`conmon.py`). Starting runc's and crun's containers needs no further process:
the created process waits at a FIFO in the runtime's state directory, and opening its other end is all that their
`start` does for it. A runtime of another make is asked by its command line.
"""

import asyncio
import base64
import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from engine.core.errors import InvalidParameter
from engine.drivers.linux import proc
from engine.drivers.linux.pidfd import ExitWatch
from engine.drivers.runtime import crun, failures
from engine.drivers.runtime.failures import RuntimeFailed, UnknownProcess
from engine.drivers.runtime.sealed import sealed_copy

ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    # The monitor's log lines bear local time: this makes them UTC.
    "TZ": "UTC",
}
# The first runc that takes them from the namespace.
_READS_MAPPINGS = (1, 1, 11)
_FILTER_ANNOTATION = "run.oci.seccomp_bpf_data"
_FILTER_LIMIT = 1 << 20
_GONE = ("does not exist", "no such process", "not running", "process already finished", "not found")
# What clients that speak containerd's names call the default runtime.
_ALIASES = frozenset({"", "io.containerd.runc.v2", "io.containerd.runtime.v1.linux"})


class UnknownRuntime(InvalidParameter):
    """A container asks for a runtime that this daemon does not have."""

    def __init__(self, name: str) -> None:
        super().__init__(f"unknown or invalid runtime name: {name}")


class Make(StrEnum):
    """Whose program it is; of some we know more than their command line."""

    RUNC = "runc"
    CRUN = "crun"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class RuntimeProgram:
    """A runtime's name in the API, its program, and what `--version` says of it. `executable`: what is run, in fact."""

    name: str
    path: str
    make: Make = Make.OTHER
    version: str = ""
    arguments: Sequence[str] = ()
    executable: str = ""


class OciRuntime:
    """One runtime with its state directory."""

    def __init__(self, program: RuntimeProgram, state: Path, *, systemd_cgroup: bool = False) -> None:
        self.name = program.name
        self.program = program
        self.executable = program.executable or program.path
        self._state = state
        self._systemd = systemd_cgroup
        flags = ["--systemd-cgroup"] if systemd_cgroup else []
        # With a log file elsewhere, the runtime's standard error has the bare reason of a failure and nothing else.
        self.arguments = (*program.arguments, "--root", str(state), "--log=/dev/null", *flags)
        self._filters = _FilterCache()

    @property
    def native(self) -> bool:
        """Whether its containers are plain processes in plain cgroups, which can be signalled and frozen directly."""
        return self.program.make is not Make.OTHER

    @property
    def lifts_limits(self) -> bool:
        """Whether an update can take a limit away; where not, whoever updates writes to the cgroup himself."""
        return self.program.make is not Make.CRUN

    def prepared(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Return the OCI configuration as this runtime takes it, and takes it fastest."""
        if self.program.make is Make.RUNC and _numbers(self.program.version) >= _READS_MAPPINGS:
            return _without_read_mappings(spec)
        if self.program.make is not Make.CRUN:
            return spec
        return crun.creatable(self._filters.applied(spec), systemd_cgroup=self._systemd)

    async def learn(self, container_id: str, spec: Mapping[str, Any]) -> None:
        """Keep what the runtime worked out for a container that it just created, for the next one like it."""
        if self.program.make is Make.CRUN and self._filters.wants(spec):
            await asyncio.to_thread(self._filters.keep, spec, self._state / container_id / "seccomp.bpf")

    def knows(self, container_id: str) -> bool:
        """Tell whether the runtime has any state of a container."""
        return (self._state / container_id).exists()

    async def start(self, container_id: str, pid: int) -> None:
        """Let the created process `pid` run the container's command. Raises RuntimeFailed."""
        fifo = self._state / container_id / "exec.fifo"
        if self.program.make is Make.CRUN:
            _release_crun(fifo)
        elif self.program.make is Make.RUNC:
            await _release_runc(fifo, pid)
        else:
            await self._run("start", container_id)

    async def kill(self, container_id: str, number: int, *, all: bool = False) -> None:
        """Signal the first process, or all. Raises RuntimeFailed; UnknownProcess where nothing is there to signal."""
        await self._run("kill", *(["--all"] if all else []), container_id, str(number))

    async def pause(self, container_id: str) -> None:
        """Freeze all processes. Raises RuntimeFailed."""
        await self._run("pause", container_id)

    async def resume(self, container_id: str) -> None:
        """Thaw all processes. Raises RuntimeFailed."""
        await self._run("resume", container_id)

    async def update(self, container_id: str, resources: Mapping[str, Any]) -> None:
        """Change limits (`linux.resources` of the OCI configuration) of what runs. Raises RuntimeFailed."""
        if self.program.make is Make.CRUN:
            resources = crun.updatable(resources, systemd_cgroup=self._systemd)
        await self._run("update", "--resources", "-", container_id, stdin=msgspec.json.encode(resources))

    async def checkpoint(self, container_id: str, images: Path, *, ends: bool) -> None:
        """Have criu write all processes into files in `images`, and end them if `ends`. Raises RuntimeFailed."""
        options = [] if ends else ["--leave-running"]
        await self._run("checkpoint", "--image-path", str(images), *options, container_id)

    async def delete(self, container_id: str, *, force: bool = False) -> None:
        """Remove a container's cgroups and state; with `force` its processes as well. Raises RuntimeFailed."""
        if self.knows(container_id):
            await self._run("delete", *(["--force"] if force else []), container_id)

    async def _run(self, *arguments: str, stdin: bytes = b"") -> None:
        done = await proc.run([self.executable, *self.arguments, *arguments], env=ENVIRONMENT, stdin=stdin)
        if done.returncode != 0:
            reason = done.error or f"exit status {done.returncode}"
            kind = UnknownProcess if any(gone in reason for gone in _GONE) else RuntimeFailed
            raise kind(reason)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _without_read_mappings(spec: dict[str, Any]) -> dict[str, Any]:
    """Leave out the mappings of a user namespace that is joined: older ones need them, newer ones warn of them."""
    linux = spec.get("linux") or {}
    if not any(space["type"] == "user" and space.get("path") for space in linux.get("namespaces") or ()):
        return spec
    return {**spec, "linux": {key: value for key, value in linux.items() if key not in ("uidMappings", "gidMappings")}}


def _release_crun(fifo: Path) -> None:
    """The created process reads one byte from the FIFO; whoever writes it removes the FIFO (crun, `status.c`)."""
    try:
        fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise failures.start_failed("the container's process is gone") from error
    try:
        fifo.unlink()
        os.write(fd, b"\0")
    except OSError as error:
        raise failures.start_failed(str(error)) from error
    finally:
        os.close(fd)


async def _release_runc(fifo: Path, pid: int) -> None:
    """The created process writes one byte to the FIFO once somebody reads; the reader removes it (runc, `Exec`)."""
    try:
        fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise failures.start_failed("cannot start an already running container") from error
    try:
        await _until_readable(fd, pid)
        if not os.read(fd, 1):
            raise failures.start_failed("the container's process is gone")
        fifo.unlink(missing_ok=True)
    except BlockingIOError as error:
        raise failures.start_failed("the container's process is gone") from error
    finally:
        os.close(fd)


async def _until_readable(fd: int, pid: int) -> None:
    """Return when the FIFO has something to read, or its writer's end, or the process has ended."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    watch = ExitWatch(pid, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)
        watch.close()


@dataclass(slots=True)
class _FilterCache:
    """crun's compiled system call filters, by the text of what they were compiled from.

    Compiling Docker's default profile takes crun some 10 ms, half of its time for a container. It leaves the program in
    its state directory and takes it back as an annotation. A crun without that annotation compiles the profile, which
    stays in the configuration.
    """

    _programs: dict[bytes, str] = field(default_factory=dict)

    def applied(self, spec: dict[str, Any]) -> dict[str, Any]:
        """Return the configuration with the compiled filter, where there is one."""
        program = self._programs.get(self._key(spec))
        if program is None:
            return spec
        return spec | {"annotations": {**spec.get("annotations", {}), _FILTER_ANNOTATION: program}}

    def wants(self, spec: Mapping[str, Any]) -> bool:
        return bool(spec["linux"].get("seccomp")) and self._key(spec) not in self._programs

    def keep(self, spec: Mapping[str, Any], compiled: Path) -> None:
        """Read a compiled filter. Blocks; call in a thread."""
        with contextlib.suppress(OSError):
            program = compiled.read_bytes()
            if 0 < len(program) < _FILTER_LIMIT and len(program) % 8 == 0:
                self._programs[self._key(spec)] = base64.b64encode(program).decode()

    def _key(self, spec: Mapping[str, Any]) -> bytes:
        return hashlib.sha256(msgspec.json.encode(spec["linux"].get("seccomp"))).digest()


@dataclass(frozen=True, slots=True)
class AddedRuntime:
    """A runtime that the settings name: its program, and arguments to put before its command."""

    path: str
    arguments: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """`--default-runtime` (empty: choose), `--add-runtime`, and whether systemd makes the cgroups."""

    state: Path
    default: str = ""
    added: Mapping[str, AddedRuntime] = field(default_factory=dict)
    systemd_cgroup: bool = False


class Runtimes:
    """The runtimes that containers can ask for."""

    def __init__(self, runtimes: Mapping[str, OciRuntime], default: str) -> None:
        self._runtimes = dict(runtimes)
        self.default = default

    @classmethod
    async def find(cls, settings: RuntimeSettings) -> "Runtimes":
        """Look at the host's runtimes. Raises UnknownRuntime for a default that is not there."""
        wanted = {"runc": AddedRuntime("runc"), "crun": AddedRuntime("crun"), **settings.added}
        programs = await asyncio.gather(*(_inspect(name, runtime) for name, runtime in wanted.items()))
        found = {p.name: p for p in programs if p is not None}
        default = settings.default or _choose(found)
        if default not in found:
            raise UnknownRuntime(default)
        return cls({name: await cls._open(program, settings) for name, program in found.items()}, default)

    @staticmethod
    async def _open(program: RuntimeProgram, settings: RuntimeSettings) -> OciRuntime:
        state = settings.state / program.name
        await asyncio.to_thread(state.mkdir, mode=0o700, parents=True, exist_ok=True)
        program = await _sealed(program, settings.state / "bin")
        return OciRuntime(program, state, systemd_cgroup=settings.systemd_cgroup)

    def get(self, name: str) -> OciRuntime:
        """Return a runtime; the empty name is the default. Raises UnknownRuntime."""
        found = self._runtimes.get(self.default if name in _ALIASES else name)
        if found is None:
            raise UnknownRuntime(name)
        return found

    def all(self) -> list[OciRuntime]:
        """Return all runtimes."""
        return list(self._runtimes.values())


async def _inspect(name: str, runtime: AddedRuntime) -> RuntimeProgram | None:
    located = shutil.which(runtime.path, path=ENVIRONMENT["PATH"])
    if located is None:
        return None
    try:
        done = await proc.run([located, "--version"], env=ENVIRONMENT)
    except OSError:
        return None
    make, version = _read_version(done.stdout.decode(errors="replace"))
    return RuntimeProgram(name, located, make, version, runtime.arguments)


async def _sealed(program: RuntimeProgram, links: Path) -> RuntimeProgram:
    """Let the program be run from a sealed copy, where that works. The copy stays until we end."""
    if program.make is Make.OTHER:
        return program
    link = links / program.name
    try:
        await asyncio.to_thread(links.mkdir, mode=0o700, exist_ok=True)
        await asyncio.to_thread(sealed_copy, Path(program.path), link)
        done = await proc.run([str(link), "--version"], env=ENVIRONMENT)
    except OSError:
        return program
    works = _read_version(done.stdout.decode(errors="replace")) == (program.make, program.version)
    return replace(program, executable=str(link)) if works else program


def _read_version(text: str) -> tuple[Make, str]:
    words = text.split()
    if len(words) < 3 or words[1] != "version":
        return Make.OTHER, ""
    make = Make(words[0]) if words[0] in ("runc", "crun") else Make.OTHER
    return make, words[2]


def _choose(found: Mapping[str, RuntimeProgram]) -> str:
    return "crun" if "crun" in found and crun_takes_host() else "runc"


def crun_takes_host(root: Path = Path("/sys/fs/cgroup")) -> bool:
    """Tell whether crun accepts the host's cgroups: v2, or v1 without controllers in v2 (crun, `cgroup-utils.c`)."""
    unified = root / "unified" / "cgroup.controllers"
    if (root / "cgroup.controllers").exists() or not unified.exists():
        return True
    return not unified.read_text().strip()
