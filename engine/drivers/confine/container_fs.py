"""The jobs of `docker cp`: look at, pack and fill what a container's processes see.

The process's root is a container's tree with all that is mounted in it: a copy of the mount namespace of a running one,
or the tree of a stopped one, on which its volumes are mounted here. Links, `..` and races lead nowhere else.
"""

import os
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from engine.drivers.confine.decompress import Source, chunks, plain
from engine.drivers.confine.failures import ArchiveRefused
from engine.drivers.confine.inherit import Inheritance
from engine.drivers.confine.layer_tar import Packer
from engine.drivers.confine.put_into import CannotOverwrite, IntoDirectory
from engine.drivers.confine.tar_reader import TarReader
from engine.drivers.confine.tree import Tree
from engine.drivers.confine.walk import Found, walk
from engine.drivers.linux.lent import BodyDamaged, LentReader
from engine.drivers.linux.syscalls import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, move_mount_at, openat2

Arguments = dict[str, Any]
_RESOLVE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_MAX_LINKS = 255


class TooManyLinks(ArchiveRefused):
    """Links that lead to each other; the text is dockerd's."""

    def __init__(self, path: str) -> None:
        super().__init__(f"evalSymlinksInScope: too many links in {path}")


def stat_path(root: int, arguments: Arguments, fds: Sequence[int]) -> Arguments:
    """Return what is at a path, itself and not what it leads to; `missing` where nothing is. Raises OSError."""
    _mount_all(root, arguments, fds)
    path = arguments["path"]
    try:
        fd = openat2(root, path, os.O_PATH | os.O_NOFOLLOW, resolve=_RESOLVE)
    except FileNotFoundError:
        return {"missing": True}
    status = os.fstat(fd)
    target = evaluate(path) if stat.S_ISLNK(status.st_mode) else ""
    return {"mode": status.st_mode, "size": status.st_size, "mtime": status.st_mtime_ns, "target": target}


def get(root: int, arguments: Arguments, fds: Sequence[int]) -> Arguments:
    """Write what is at a path as a tar archive, under the name `name`; a directory with all that is in it."""
    (output,) = _mount_all(root, arguments, fds)
    path, name = arguments["path"], os.fsencode(arguments["name"])
    packer = Packer(output)
    above, _, last = path.rpartition("/")
    status = os.fstat(openat2(root, path, os.O_PATH | os.O_NOFOLLOW, resolve=_RESOLVE))
    if stat.S_ISDIR(status.st_mode):
        top = openat2(root, path, _DIRECTORY, resolve=_RESOLVE)
        packer.add(Found(name, top, b".", os.fstat(top)))
        for found in walk(top, prefix=name + b"/", mounts=True):
            packer.add(found)
    else:
        parent = openat2(root, above or "/", _DIRECTORY, resolve=_RESOLVE)
        packer.add(Found(name, parent, os.fsencode(last), status))
    packer.finish()
    return {}


def put(root: int, arguments: Arguments, fds: Sequence[int]) -> Arguments:
    """Unpack an archive into the directory at a path; says why where it does not. Raises ArchiveRefused, OSError.

    It comes from one descriptor; or, where `lent` is given, from the two of a LentReader.
    """
    sources = _mount_all(root, arguments, fds)
    try:
        path = evaluate(arguments["path"])
    except TooManyLinks:
        return {"error": "EvalSymlinks: too many links"}
    try:
        os.close(openat2(root, path, _DIRECTORY, resolve=_RESOLVE))
    except FileNotFoundError:
        return {"missing": True}
    except NotADirectoryError:
        return _no_directory(root, path, arguments["path"])
    if refused := _read_only(path, arguments):
        return {"read_only": refused}
    pieces = _lent_pieces(sources, arguments["lent"]["length"]) if arguments["lent"] else chunks(sources[0])
    tree = Tree(root, Inheritance(()))
    target = os.fsencode(path.strip("/"))
    owner = arguments["owner"]
    extractor = IntoDirectory(tree, target, tuple(owner) if owner else None, keep_kinds=arguments["keep_kinds"])
    try:
        extractor.run(TarReader(lambda: next(pieces, b"")))
    except CannotOverwrite as error:
        return {"error": str(error)}
    except BodyDamaged as error:
        raise ArchiveRefused(str(error)) from error
    finally:
        tree.close()
    return {}


def _no_directory(root: int, path: str, asked: str) -> Arguments:
    """Return what is wrong with a path that leads to no directory; the texts are dockerd's."""
    if asked.endswith(("/", "/.")):
        return {"error": f"lstat {asked}: not a directory"}
    try:
        os.close(openat2(root, path, os.O_PATH | os.O_NOFOLLOW, resolve=_RESOLVE))
    except NotADirectoryError:
        return {"error": "not a directory"}
    return {"not_directory": True}


def _lent_pieces(fds: Sequence[int], length: int | None) -> Iterator[bytes | memoryview]:
    early, socket = fds
    body = LentReader(early, socket, length)
    return plain(Source(lambda _: body.read()))


def _mount_all(root: int, arguments: Arguments, fds: Sequence[int]) -> Sequence[int]:
    """Mount the volumes on the tree; return the descriptors that come after theirs."""
    places: list[str] = arguments["mounts"]
    for place, mount in zip(places, fds, strict=False):
        directory = stat.S_ISDIR(os.fstat(mount).st_mode)
        try:
            target = openat2(root, place, os.O_PATH, resolve=_RESOLVE)
        except FileNotFoundError:
            target = _mount_point(root, place, directory=directory)
        move_mount_at(mount, target)
        os.close(target)
    return fds[len(places) :]


def _mount_point(root: int, place: str, *, directory: bool) -> int:
    """Make what is missing on the way. The process's root is the tree: plain names are safe."""
    path = evaluate(place)
    os.makedirs(path if directory else path.rpartition("/")[0] or "/", 0o755, exist_ok=True)  # noqa: PTH103 (pathlib costs memory)
    if not directory:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    return openat2(root, place, os.O_PATH, resolve=_RESOLVE)


def evaluate(path: str) -> str:
    """Return where a path leads when links are followed, as far as it exists (moby `symlink.FollowSymlinkInScope`)."""
    done, pending, links = "", deque(path.split("/")), 0
    while pending:
        name = pending.popleft()
        if name in ("", "."):
            continue
        if name == "..":
            done = done.rpartition("/")[0]
            continue
        step = f"{done}/{name}"
        target = _target(step)
        if target is None:
            done = step
            continue
        if (links := links + 1) > _MAX_LINKS:
            raise TooManyLinks(path)
        pending.extendleft(reversed(target.split("/")))
        done = "" if target.startswith("/") else done
    return done or "/"


def _target(path: str) -> str | None:
    try:
        return os.readlink(path)  # noqa: PTH115
    except OSError:
        return None


def _read_only(path: str, arguments: Arguments) -> str:
    """Return `volume` or `rootfs` where what holds the path is not to be written, else nothing."""
    for place, writable in arguments["volumes"]:
        if path == place or path.startswith(place.rstrip("/") + "/"):
            return "" if writable else "volume"
    return "rootfs" if arguments["readonly_root"] else ""
