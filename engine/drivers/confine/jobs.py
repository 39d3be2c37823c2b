"""What workers can do, by name. Each takes the request's arguments, and the descriptors that came with it.

The process's root is the tree that the job is about; a descriptor of it is `root`.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

from engine.drivers.confine.unpack import unpack

Arguments = dict[str, Any]
Job = Callable[[int, Arguments, Sequence[int]], Any]


def _unpack(root: int, _arguments: Arguments, fds: Sequence[int]) -> Any:
    return unpack(fds[0], root, fds[1:])


def _ping(root: int, _arguments: Arguments, _fds: Sequence[int]) -> Any:
    return len(os.listdir(root))


JOBS: dict[str, Job] = {
    "ping": _ping,
    "unpack": _unpack,
}
