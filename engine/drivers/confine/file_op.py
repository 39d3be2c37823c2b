"""The job `file_op`: a build step's file operations. The process's root is the step's own tree.

As BuildKit's `solver/llbsolver/file`: copies from trees given as descriptors, directories, files, removals, links.
"""

import os
import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.drivers.confine.failures import ArchiveRefused, PathMissing
from engine.drivers.confine.file_copy import Copy
from engine.drivers.confine.into import Made, make_directories, own
from engine.drivers.confine.select import select
from engine.drivers.linux.removal import remove_entry

_CHUNK = 1 << 20
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

Action = dict[str, Any]


def file_op(actions: Sequence[Action], fds: Sequence[int]) -> None:
    """Do the actions in turn. Raises ArchiveRefused, OSError. Blocks."""
    for action in actions:
        _ACTIONS[action["do"]](action, fds)


def _copy(action: Action, fds: Sequence[int]) -> None:
    Copy(action, fds[action["source"]]).run()


def _make_directory(action: Action, _fds: Sequence[int]) -> None:
    made, path = Made.of(action), posixpath.normpath("/" + action["path"])
    if action["parents"]:
        make_directories(path, made, action["mode"])
        return
    try:
        Path(path).mkdir(action["mode"])
    except FileExistsError:
        return
    own(path, made)
    Path(path).chmod(action["mode"])


def _make_file(action: Action, fds: Sequence[int]) -> None:
    path = posixpath.normpath("/" + action["path"])
    target = os.open(path, _NEW_FILE, action["mode"])
    try:
        source = fds[action["source"]]
        while data := os.read(source, _CHUNK):
            os.write(target, data)
        os.fchmod(target, action["mode"])
    finally:
        os.close(target)
    own(path, Made.of(action))


def _make_link(action: Action, _fds: Sequence[int]) -> None:
    path = posixpath.normpath("/" + action["path"])
    Path(path).symlink_to(action["target"])
    own(path, Made.of(action))


def _remove(action: Action, _fds: Sequence[int]) -> None:
    paths = [os.fsencode(posixpath.normpath("/" + action["path"])).lstrip(b"/")]
    if action["wildcard"]:
        top = os.open("/", _DIRECTORY)
        try:
            paths = select(top, action["path"])
        finally:
            os.close(top)
    for path in paths:
        _remove_one(path, action)


def _remove_one(path: bytes, action: Action) -> None:
    above, _, name = path.rpartition(b"/")
    if not name:
        raise ArchiveRefused("rmPath: invalid empty path")
    try:
        directory = os.open(b"/" + above, _DIRECTORY)
    except (FileNotFoundError, NotADirectoryError) as error:
        if action["allow_missing"]:
            return
        raise PathMissing(os.fsdecode(path)) from error
    try:
        if not action["allow_missing"]:
            os.stat(name, dir_fd=directory, follow_symlinks=False)
        remove_entry(directory, os.fsdecode(name))
    except FileNotFoundError as error:
        raise PathMissing(os.fsdecode(path)) from error
    finally:
        os.close(directory)


_ACTIONS = {
    "copy": _copy,
    "directory": _make_directory,
    "file": _make_file,
    "link": _make_link,
    "remove": _remove,
}
