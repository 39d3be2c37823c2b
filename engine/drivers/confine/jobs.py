"""What workers can do, by name. Each takes the request's arguments, and the descriptors that came with it.

The process's root is the tree that the job is about; a descriptor of it is `root`.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

from engine.drivers.confine import changes, container_fs
from engine.drivers.confine.copy_up import copy_up
from engine.drivers.confine.file_op import file_op
from engine.drivers.confine.fingerprint import digests, fingerprint
from engine.drivers.confine.layer_tar import pack
from engine.drivers.confine.measure import content_size, disk_usage
from engine.drivers.confine.unpack import unpack

Arguments = dict[str, Any]
Job = Callable[[int, Arguments, Sequence[int]], Any]


def _unpack(root: int, _arguments: Arguments, fds: Sequence[int]) -> Any:
    return unpack(fds[0], root, fds[1:])


def _pack(root: int, arguments: Arguments, fds: Sequence[int]) -> Any:
    return pack(root, fds[0], arguments.get("latest"))


def _fingerprint(root: int, arguments: Arguments, _fds: Sequence[int]) -> Any:
    return fingerprint(root, arguments["selections"])


def _digests(root: int, _arguments: Arguments, _fds: Sequence[int]) -> Any:
    return digests(root)


def _file_op(_root: int, arguments: Arguments, fds: Sequence[int]) -> Any:
    return file_op(arguments["actions"], fds)


def _copy_up(_root: int, arguments: Arguments, fds: Sequence[int]) -> Any:
    return copy_up(arguments["path"], fds[0])


def _content_size(root: int, _arguments: Arguments, _fds: Sequence[int]) -> Any:
    return content_size(root)


def _disk_usage(root: int, _arguments: Arguments, _fds: Sequence[int]) -> Any:
    return disk_usage(root)


def _ping(root: int, _arguments: Arguments, _fds: Sequence[int]) -> Any:
    return len(os.listdir(root))


JOBS: dict[str, Job] = {
    "archive_get": container_fs.get,
    "archive_put": container_fs.put,
    "archive_stat": container_fs.stat_path,
    "changes": changes.job,
    "content_size": _content_size,
    "copy_up": _copy_up,
    "disk_usage": _disk_usage,
    "digests": _digests,
    "file_op": _file_op,
    "fingerprint": _fingerprint,
    "pack": _pack,
    "ping": _ping,
    "unpack": _unpack,
}
