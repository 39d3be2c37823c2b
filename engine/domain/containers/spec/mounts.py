"""What is mounted in a container: the kernel's filesystems, three files in /etc, what the client asks for. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from engine.core.errors import InvalidParameter
from engine.core.model.container import Container, Mount, MountPoint
from engine.domain.containers.security_options import parse_security_options
from engine.domain.containers.spec.process import INIT_PATH
from engine.domain.containers.spec.request import SpecRequest

OciMount = dict[str, Any]
_QUIET = ("nosuid", "noexec", "nodev")
_SHARED, _SLAVE = ("shared", "rshared"), ("slave", "rslave")
# Options of tmpfs that undo each other: the last one counts.
_TMPFS_FLAGS = {
    "rw": "ro",
    "ro": "ro",
    "exec": "exec",
    "noexec": "exec",
    "suid": "suid",
    "nosuid": "suid",
    "dev": "dev",
    "nodev": "dev",
    "sync": "sync",
    "async": "sync",
    "dirsync": "dirsync",
    "mand": "mand",
    "nomand": "mand",
    "atime": "atime",
    "noatime": "atime",
    "diratime": "diratime",
    "nodiratime": "diratime",
    "relatime": "relatime",
    "norelatime": "relatime",
    "strictatime": "strictatime",
    "nostrictatime": "strictatime",
    "bind": "bind",
    "rbind": "bind",
    **dict.fromkeys(
        ("private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable"), "prop"
    ),
}
_TMPFS_VALUES = frozenset({"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"})
_TMPFS_DEFAULTS = ("noexec", "nosuid", "nodev", "rprivate")


class InvalidTmpfsOption(InvalidParameter):
    """An option of `--tmpfs` that tmpfs does not have."""

    def __init__(self, option: str) -> None:
        super().__init__(f'invalid tmpfs option "{option}"')


class ForcedRecursiveReadonly(InvalidParameter):
    """Recursively read-only was insisted on, and this kernel or runtime cannot."""

    def __init__(self) -> None:
        super().__init__("rro is not supported by the kernel or the OCI runtime")


@dataclass(frozen=True, slots=True)
class Mounts:
    """The mounts in order, and what the root's own propagation must be for them (empty: the runtime's default)."""

    mounts: Sequence[OciMount]
    propagation: str = ""


def mounts(request: SpecRequest) -> Mounts:
    """Return all mounts. Raises InvalidParameter."""
    container = request.container
    wanted = [*_volumes(request), *_tmpfs(container), *_shm(request), *_etc(request)]
    if request.init:
        wanted.append(_mount(INIT_PATH, "bind", request.init, ("bind", "ro")))
    wanted.sort(key=lambda m: _depth(m["destination"]))
    taken = {m["destination"] for m in wanted}
    kept = [m for m in _defaults(request) if m["destination"] not in taken]
    if "/dev" in taken:
        kept = [m for m in kept if not m["destination"].startswith("/dev/")]
    if container.host_config.readonly_rootfs and not container.host_config.privileged:
        kept = [_readonly(m) for m in kept]
    return Mounts([*kept, *wanted], _root_propagation(request.mounts))


def _mount(destination: str, kind: str, source: str, options: Iterable[str]) -> OciMount:
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}


def _depth(path: str) -> int:
    return path.rstrip("/").count("/")


def _defaults(request: SpecRequest) -> list[OciMount]:
    host_config = request.container.host_config
    readonly = () if host_config.privileged else ("ro",)
    cgroup_readonly = () if host_config.privileged or _writable_cgroups(request.container) else ("ro",)
    result = [
        _mount("/proc", "proc", "proc", _QUIET),
        _mount("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
        _mount(
            "/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")
        ),
        _mount("/sys", "sysfs", "sysfs", (*_QUIET, *readonly)),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", (*cgroup_readonly, *_QUIET)),
        _mount("/dev/mqueue", "mqueue", "mqueue", _QUIET),
    ]
    if host_config.ipc_mode in ("", "private"):
        size = f"size={host_config.shm_size}"
        result.append(_mount("/dev/shm", "tmpfs", "shm", (*_QUIET, "mode=1777", size)))
    return result


def _writable_cgroups(container: Container) -> bool:
    return parse_security_options(container.host_config.security_opt or ()).writable_cgroups


def _readonly(mount: OciMount) -> OciMount:
    """With a read-only root, what Docker mounts by itself is read-only too, except what programs must write."""
    if mount["destination"] in ("/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue") or "ro" in mount["options"]:
        return mount
    return mount | {"options": [*mount["options"], "ro"]}


def _shm(request: SpecRequest) -> list[OciMount]:
    mode = request.container.host_config.ipc_mode
    if any(m.destination == "/dev/shm" for m in request.mounts):
        return []
    if mode == "host":
        return [_mount("/dev/shm", "bind", "/dev/shm", ("rbind", "rprivate"))]
    if request.shm and mode not in ("", "private", "none"):
        # crun drops the flags that the source has.
        return [_mount("/dev/shm", "bind", request.shm, ("rbind", "rprivate", *_QUIET))]
    return []


def _etc(request: SpecRequest) -> list[OciMount]:
    taken = {m.destination for m in request.mounts}
    readonly = request.container.host_config.readonly_rootfs
    options = ("rbind", *(("ro",) if readonly else ()), "rprivate")  # Files: there is nothing below them.
    etc = request.etc
    files = (("/etc/resolv.conf", etc.resolv_conf), ("/etc/hostname", etc.hostname), ("/etc/hosts", etc.hosts))
    return [_mount(where, "bind", path, options) for where, path in files if path and where not in taken]


def _recursive_readonly(request: SpecRequest) -> str:
    return "rro" if request.host.recursive_readonly else "ro"


def _volumes(request: SpecRequest) -> list[OciMount]:
    """What tmpfs mounts over the same place hide is left out, as a container has one mount per destination."""
    hidden = request.container.host_config.tmpfs or {}
    result = []
    for mount in request.mounts:
        if mount.type == "tmpfs":
            result.append(_tmpfs_mount(mount))
        elif mount.destination not in hidden:
            result.append(_bind(mount, request))
    return result


def _bind(mount: MountPoint, request: SpecRequest) -> OciMount:
    options = mount.spec.bind_options if mount.spec else None
    result = ["bind" if options and options.non_recursive else "rbind"]
    if not mount.rw:
        result.append(_readonly_option(mount.spec, request))
    # runc keeps what holds for the source; crun drops it, and a read-only volume would be writable.
    result += [o for o in request.restrictions.get(mount.source, ()) if o not in result and (o != "ro" or mount.rw)]
    if mount.propagation:
        result.append(mount.propagation)
    return _mount(mount.destination, "bind", mount.source, result)


def _readonly_option(spec: Mount | None, request: SpecRequest) -> str:
    options = spec.bind_options if spec else None
    if options and options.read_only_non_recursive:
        return "ro"
    if options and options.read_only_force_recursive and not request.host.recursive_readonly:
        raise ForcedRecursiveReadonly
    return _recursive_readonly(request)


def _tmpfs_mount(mount: MountPoint) -> OciMount:
    return _mount(mount.destination, "tmpfs", "tmpfs", tmpfs_options(_tmpfs_spec_options(mount)))


def _tmpfs_spec_options(mount: MountPoint) -> list[str]:
    options = mount.spec.tmpfs_options if mount.spec else None
    result = [] if mount.rw else ["ro"]
    if options is None:
        return result
    if options.mode:
        result.append(f"mode={options.mode:o}")
    if options.size_bytes:
        result.append(f"size={_short_size(options.size_bytes)}")
    return result + ["=".join(option[:2]) for option in options.options or ()]


def _short_size(size: int) -> str:
    for shift, suffix in ((30, "g"), (20, "m"), (10, "k")):
        if size % (1 << shift) == 0:
            return f"{size >> shift}{suffix}"
    return str(size)


def _tmpfs(container: Container) -> list[OciMount]:
    return [
        _mount(destination, "tmpfs", "tmpfs", tmpfs_options(text.split(",") if text else ()))
        for destination, text in (container.host_config.tmpfs or {}).items()
    ]


def tmpfs_options(options: Iterable[str]) -> list[str]:
    """Merge options with Docker's defaults; of those that undo each other the last stays. Raises InvalidTmpfsOption."""
    merged: dict[str, str] = {}
    for option in (*_TMPFS_DEFAULTS, *options):
        key = _tmpfs_key(option)
        merged.pop(key, None)
        merged[key] = option
    return list(merged.values())


def _tmpfs_key(option: str) -> str:
    if option in _TMPFS_FLAGS:
        return _TMPFS_FLAGS[option]
    name, equals, _ = option.partition("=")
    if not equals or name not in _TMPFS_VALUES:
        raise InvalidTmpfsOption(option)
    return name


def _root_propagation(wanted: Iterable[MountPoint]) -> str:
    """Mounts that are to travel out of the container need a shared root; those that come in, a slave at least."""
    kinds = {m.propagation for m in wanted if m.type == "bind"}
    if kinds.intersection(_SHARED):
        return "shared"
    return "rslave" if kinds.intersection(_SLAVE) else ""
