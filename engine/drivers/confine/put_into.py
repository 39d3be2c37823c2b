"""An archive into a directory of a container that may run: `docker cp` to a container.

As moby's `archive.Untar`: whiteouts mean nothing, what is in the way is replaced, directories are merged.
"""

import os
import stat

from engine.drivers.confine.extract import Extractor
from engine.drivers.confine.failures import ArchiveRefused
from engine.drivers.confine.tar_header import DIRECTORY, HARD_LINK, Entry
from engine.drivers.confine.tree import Tree, clean, shown

_MAX_ID = 0xFFFFFFFE


class CannotOverwrite(Exception):
    """A directory is where the archive has none, or the other way round, and the client minds."""

    def __init__(self, path: bytes, target: bytes, *, directory: bool) -> None:
        there, given = ("directory", "non-directory") if directory else ("non-directory", "directory")
        super().__init__(f'cannot overwrite {there} "{shown(path)}" with {given} "/{shown(target)}"')


class IntoDirectory(Extractor):
    """Applies an archive below one directory of a tree; links on the way lead through the whole tree."""

    def __init__(self, tree: Tree, target: bytes, owner: tuple[int, int] | None, *, keep_kinds: bool) -> None:
        """`target` is a path without links, relative to the tree; `owner` None keeps the archive's."""
        super().__init__(tree)
        self._target = target
        self._owner = owner
        self._keep_kinds = keep_kinds

    def _apply(self, entry: Entry) -> None:
        if self._owner is not None:
            entry.uid, entry.gid = self._owner
        if not (0 <= entry.uid <= _MAX_ID and 0 <= entry.gid <= _MAX_ID):
            raise ArchiveRefused(f'"{shown(entry.name)}": owner out of range')
        inside = clean(entry.name)
        if not inside:
            return  # The directory itself, which is there.
        if entry.kind == HARD_LINK:
            entry.link = self._below(clean(entry.link))
        self._tree.trim()
        path = self._below(inside)
        above, _, name = path.rpartition(b"/")
        fd = self._tree.directory(above)
        self._require_same_kind(entry, fd, name, inside)
        self._place(entry, fd, self._tree.entry_path(above, path), name)

    def _below(self, path: bytes) -> bytes:
        return self._target + b"/" + path if self._target else path

    def _require_same_kind(self, entry: Entry, fd: int, name: bytes, inside: bytes) -> None:
        status: os.stat_result | None = self._tree.status(fd, name) if self._keep_kinds else None
        if status is not None and (directory := stat.S_ISDIR(status.st_mode)) != (entry.kind == DIRECTORY):
            raise CannotOverwrite(inside, self._target, directory=directory)
