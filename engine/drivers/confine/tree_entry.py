"""One entry of a tree that is sent or received piece by piece, as stat(2) has it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """A file, directory, link or FIFO. `path` is relative to the tree, `mtime` in nanoseconds since the epoch.

    `link` is where a symbolic link leads or, of a regular file, the earlier entry that it is the same file as.
    """

    path: str
    mode: int
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    link: str = ""
    xattrs: Mapping[str, bytes] = field(default_factory=dict)
