"""What of a tree a copy means: a path or wildcard, and patterns that narrow it. Shared by `fingerprint` and `file_op`.

Paths are resolved as if the tree were `/`; nothing leads out of it.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from typing import Any

from engine.drivers.confine.failures import ArchiveRefused, PathMissing
from engine.drivers.confine.patterns import Patterns, State, is_well_formed
from engine.drivers.confine.select import has_wildcards, resolved, select
from engine.drivers.confine.walk import Found, walk

_NO_FOLLOW = os.O_PATH | os.O_NOFOLLOW


class Selection:
    """`path` in a tree; `wildcard`: it may be a pattern; `follow`: a link stands for what it leads to."""

    __slots__ = ("_exclude", "_include", "_required", "follow", "path", "wildcard")

    def __init__(self, found: dict[str, Any]) -> None:
        self.path: str = found["path"]
        self.wildcard: bool = found.get("wildcard", False)
        self.follow: bool = found.get("follow", False)
        self._include: Sequence[str] = found.get("include", ())
        self._exclude: Sequence[str] = found.get("exclude", ())
        self._required: Sequence[str] = found.get("required", ())

    def paths(self, top: int, kind: type[PathMissing] = PathMissing) -> list[bytes]:
        """Return what is meant, in order; the empty path is the top itself. Raises PathMissing, of that kind."""
        for required in self._required:
            _require(top, os.fsencode(required).strip(b"/"), kind(required))
        wanted = os.fsencode(os.path.normpath("/" + self.path)).lstrip(b"/")
        if self.wildcard and has_wildcards(wanted):
            return select(top, self.path)
        _require(top, wanted, kind(self.path))
        return [wanted]

    def filtered(self) -> bool:
        """Tell whether patterns narrow it."""
        return bool(self._include or self._exclude)

    def filter(self) -> "Filter":
        """Return the filter of what lies below one of the paths."""
        return Filter(self._include, self._exclude)

    def open(self, top: int, path: bytes) -> int:
        """Open one of the paths without reading it: what a link leads to where links are followed.

        Raises PathMissing.
        """
        if self.follow or not path:
            try:
                return resolved(top, path)
            except FileNotFoundError as error:
                raise PathMissing(os.fsdecode(path)) from error
        above, _, name = path.rpartition(b"/")
        directory = resolved(top, above)
        try:
            return os.open(name, _NO_FOLLOW | os.O_CLOEXEC, dir_fd=directory)
        finally:
            os.close(directory)


class Filter:
    """Tells of each entry of a walk, in its order, whether it is wanted: itself, or perhaps something in it."""

    def __init__(self, include: Sequence[str], exclude: Sequence[str]) -> None:
        self._include = Patterns(include) if include else None
        self._exclude = Patterns(exclude) if exclude else None
        for what, patterns in (("includepatterns", include), ("excludepatterns", exclude)):
            if not all(map(is_well_formed, patterns)):
                raise ArchiveRefused(f"invalid {what}: [{' '.join(patterns)}]: syntax error in pattern")
        self._states: dict[bytes, tuple[State, State]] = {}

    def wants(self, path: bytes) -> bool:
        """Tell whether an entry is to be copied."""
        above = self._states.get(path.rpartition(b"/")[0])
        text = os.fsdecode(path)
        included, excluded = True, False
        kept: State = ()
        barred: State = ()
        if self._include is not None:
            included, kept = self._include.match(text, above[0] if above else self._include.nothing)
        if self._exclude is not None:
            excluded, barred = self._exclude.match(text, above[1] if above else self._exclude.nothing)
        self._states[path] = (kept, barred)
        return included and not excluded


def chosen(fd: int, selection: Selection) -> Iterator[Found]:
    """Yield what is wanted of the directory `fd`; with directories that lead to something wanted just before it."""
    if not selection.filtered():
        yield from walk(fd)
        return
    wanted = selection.filter()
    for found in walk(fd):
        if wanted.wants(found.path):
            yield found


def kind_of(fd: int) -> int:
    """Return the file type bits of what a descriptor stands for."""
    return stat.S_IFMT(os.fstat(fd).st_mode)


def _require(top: int, path: bytes, failure: PathMissing) -> None:
    try:
        above, _, name = path.rpartition(b"/")
        directory = resolved(top, above)
        try:
            os.stat(name or b".", dir_fd=directory, follow_symlinks=False)
        finally:
            os.close(directory)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise failure from error
