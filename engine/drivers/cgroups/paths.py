"""Names of containers' cgroups. Pure.

With the `cgroupfs` driver a container's cgroup is `<parent>/<id>`; with `systemd` it is the scope `docker-<id>.scope`
below a slice, which the runtime is told as `<slice>:docker:<id>`. The names are dockerd's: programs in and around
containers look for them.
"""

from enum import StrEnum
from pathlib import PurePosixPath

_PREFIX = "docker"


class Driver(StrEnum):
    """Who makes cgroups: the runtime itself, or systemd at its request."""

    CGROUPFS = "cgroupfs"
    SYSTEMD = "systemd"


def default_parent(driver: Driver) -> str:
    """Return dockerd's default for `--cgroup-parent`."""
    return "system.slice" if driver is Driver.SYSTEMD else "/docker"


def runtime_path(driver: Driver, parent: str, container_id: str) -> str:
    """Return `linux.cgroupsPath` of the OCI configuration."""
    if driver is Driver.SYSTEMD:
        return f"{parent}:{_PREFIX}:{container_id}"
    return str(PurePosixPath("/", parent.strip("/"), container_id))


def relative_path(driver: Driver, parent: str, container_id: str) -> str:
    """Return a container's cgroup below the root of each hierarchy."""
    if driver is Driver.SYSTEMD:
        return f"{slice_path(parent)}/{_PREFIX}-{container_id}.scope"
    return runtime_path(driver, parent, container_id).lstrip("/")


def slice_path(name: str) -> str:
    """Return where systemd puts a slice: `a-b.slice` is `a.slice/a-b.slice` (systemd.slice(5))."""
    stem = name.removesuffix(".slice")
    if stem in ("", "-"):
        return ""
    parts = stem.split("-")
    return "/".join("-".join(parts[: i + 1]) + ".slice" for i in range(len(parts)))


def own_part(path: str, container_id: str) -> str:
    """Cut a process's cgroup path at the container's own: processes inside may have made cgroups below it."""
    parts = path.strip("/").split("/")
    for index, part in enumerate(parts):
        if container_id in part:
            return "/".join(parts[: index + 1])
    return "/".join(parts)


def parse_proc_cgroup(text: str) -> dict[str, str]:
    """Read /proc/<pid>/cgroup: path by controller; the v2 hierarchy is the empty name (cgroups(7))."""
    result: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            result[controller.removeprefix("name=")] = path
    return result
