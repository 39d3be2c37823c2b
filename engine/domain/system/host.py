"""What `/info` and `/version` say of the machine. Gathered once, at start."""

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

_GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_OS_RELEASE = (Path("/etc/os-release"), Path("/usr/lib/os-release"))


@dataclass(frozen=True, slots=True)
class Machine:
    """The host. `architecture` as the kernel says it, `go_architecture` as Docker's platforms do; memory in bytes."""

    kernel: str
    architecture: str
    go_architecture: str
    operating_system: str
    os_version: str
    cpus: int
    memory: int


def look_at_machine() -> Machine:
    """Look at the host. Blocks; used at start-up."""
    kernel = os.uname()
    release = _os_release()
    return Machine(
        kernel=kernel.release,
        architecture=kernel.machine,
        go_architecture=_GO_ARCHITECTURES.get(kernel.machine, kernel.machine),
        operating_system=release.get("PRETTY_NAME") or release.get("NAME") or platform.system(),
        os_version=release.get("VERSION_ID", ""),
        cpus=len(os.sched_getaffinity(0)),
        memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    )


def _os_release() -> dict[str, str]:
    for path in _OS_RELEASE:
        try:
            return parse_os_release(path.read_text())
        except OSError:
            continue
    return {}


def parse_os_release(text: str) -> dict[str, str]:
    """Return the assignments of an os-release file (os-release(5)); quotes are taken off."""
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, equals, value in pairs if equals}


def set_to_one(path: str) -> bool:
    """Tell whether a switch below /proc/sys is on. Blocks (procfs)."""
    try:
        return Path("/proc/sys", path).read_text().strip() == "1"
    except OSError:
        return False


def open_descriptors() -> int:
    """Return how many descriptors the daemon has open. Blocks (procfs)."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 — only their number matters


def built_at(module: Path) -> int:
    """Return when a module was installed, in nanoseconds since the epoch, to whole seconds. Blocks."""
    try:
        return int(module.stat().st_mtime) * 1_000_000_000
    except OSError:
        return int(time.time()) * 1_000_000_000
