"""`docker cp`: what is at a path in a container, taken out and put in as tar archives, running or not."""

import asyncio
import contextlib
import posixpath
import re
import stat
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from engine.core import os_errors
from engine.core.errors import Internal, InvalidParameter, NotFound
from engine.core.model.container import Container
from engine.domain.containers.announce import Announcer
from engine.domain.containers.table import ContainerTable
from engine.domain.containers.users import resolve_user
from engine.domain.containers.views import Views
from engine.drivers.confine.archives import PutOptions, View
from engine.drivers.confine.confine import Confine
from engine.drivers.confine.failures import ArchiveRefused
from engine.drivers.linux.lent import Lent
from engine.drivers.linux.pipes import Output, Pipe, feed, writing

_ACCOUNT_FILE_LIMIT = 8 << 20


class PathNotFound(NotFound):
    """Nothing is at the path."""

    def __init__(self, path: str, reference: str) -> None:
        super().__init__(f"Could not find the file {path} in container {reference}")


class NotADirectory(InvalidParameter):
    """An archive can only be put into a directory."""

    def __init__(self) -> None:
        super().__init__("extraction point is not a directory")


class RootReadOnly(InvalidParameter):
    """`--read-only` holds for `docker cp` too."""

    def __init__(self) -> None:
        super().__init__("container rootfs is marked read-only")


class VolumeReadOnly(InvalidParameter):
    """A volume that the container may only read."""

    def __init__(self) -> None:
        super().__init__("mounted volume is marked read-only")


class ArchiveFailed(Internal):
    """Looking, packing or unpacking failed; dockerd answers 500."""


@dataclass(frozen=True, slots=True)
class PathStat:
    """What is at a path: `mode` as in stat(2), `mtime` in nanoseconds; `target` is where a link leads in the end."""

    name: str
    size: int
    mode: int
    mtime: int
    target: str


class Upload(Protocol):
    """An archive that a client sends: lent to the worker that unpacks it, or else read here and handed on."""

    def lend(self) -> Lent | None:
        """Return the body for a worker to read; None where that cannot be."""

    def read_whole(self) -> None:
        """Tell that the lent body has been read to its end."""

    def pieces(self) -> AsyncIterator[bytes]:
        """Give what the client sends."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What a client asks of an upload."""

    path: str
    keep_kinds: bool = False
    take_owner: bool = False


class Archive:
    """Copies out of and into containers."""

    def __init__(self, table: ContainerTable, views: Views, confine: Confine, announcer: Announcer) -> None:
        self._table = table
        self._views = views
        self._confine = confine
        self._announcer = announcer

    async def stat(self, reference: str, path: str) -> PathStat:
        """Return what is at a path. Raises ContainerNotFound, PathNotFound, ArchiveFailed."""
        container = self._table.get(reference)
        async with self._views.everything(container) as view:
            return await self._stat(view, reference, path)

    async def _stat(self, view: View, reference: str, path: str) -> PathStat:
        full = absolute(path)
        if "\0" in full:
            raise ArchiveFailed(f"lstat {full}: invalid argument")
        try:
            found = await self._confine.archives.stat(view, full)
        except OSError as error:
            raise ArchiveFailed(f"lstat {full}: {(error.strerror or '').rpartition(': ')[2].lower()}") from error
        except ArchiveRefused as error:
            raise ArchiveFailed(str(error)) from error
        if "missing" in found:
            raise PathNotFound(path, reference)
        return PathStat(_base(full), found["size"], found["mode"], found["mtime"], found["target"])

    @contextlib.asynccontextmanager
    async def get(self, reference: str, path: str) -> AsyncIterator[tuple[PathStat, Output]]:
        """Give what is at a path, and the archive of it. Raises as `stat`; `ended` of the archive ArchiveFailed."""
        container = self._table.get(reference)
        full = absolute(path)
        async with self._views.everything(container) as view:
            found = await self._stat(view, reference, path)
            self._announcer.container(container, "archive-path", path=path)

            async def work(output: int) -> None:
                try:
                    await self._confine.archives.get(view, full, _name(full), output)
                except OSError as error:
                    raise ArchiveFailed(_reason(error)) from error

            async with writing(work) as archive:
                yield found, archive

    async def put(self, reference: str, extraction: Extraction, upload: Upload) -> None:
        """Unpack an archive into a directory. Raises ContainerNotFound, PathNotFound, NotADirectory, …."""
        container = self._table.get(reference)
        async with self._views.everything(container) as view:
            options = PutOptions(
                owner=await self._owner(container) if extraction.take_owner else None,
                keep_kinds=extraction.keep_kinds,
                readonly_root=container.host_config.readonly_rootfs,
                volumes=sorted(((m.destination, m.rw) for m in container.mounts), reverse=True),
            )
            await self._put(view, reference, extraction.path, (options, upload))
        self._announcer.container(container, "extract-to-dir", path=extraction.path)

    async def _put(self, view: View, reference: str, path: str, what: tuple[PutOptions, Upload]) -> None:
        options, upload = what
        if "\0" in path:
            raise ArchiveFailed(f"lstat {absolute(path)}: invalid argument")

        async def work(source: int | Lent) -> object:
            return await self._confine.archives.put(view, absolute(path), source, options)

        lent = upload.lend()
        try:
            answer = await (_fed(work, upload.pieces()) if lent is None else work(lent))
        except (OSError, ArchiveRefused) as error:
            raise ArchiveFailed(_reason(error)) from error
        _raise(answer, reference, path)
        if lent is not None:
            upload.read_whole()

    async def _owner(self, container: Container) -> tuple[int, int] | None:
        """Return the container's user, who is to own what is copied; None for root."""
        if not container.config.user:
            return None
        async with self._views.tree(container) as root:
            passwd, group = await asyncio.gather(
                self._confine.read_file(root, "/etc/passwd", _ACCOUNT_FILE_LIMIT),
                self._confine.read_file(root, "/etc/group", _ACCOUNT_FILE_LIMIT),
            )
        user = resolve_user(container.config.user, passwd or b"", group or b"", ())
        return user.uid, user.gid


async def _fed(work: Callable[[int], Coroutine[Any, Any, object]], pieces: AsyncIterator[bytes]) -> object:
    """Let a worker read the pieces from a pipe."""
    with Pipe() as pipe:
        working = asyncio.ensure_future(work(pipe.reader))
        feeding = asyncio.ensure_future(feed(pipe.writer, pieces))
        try:
            await asyncio.wait((working, feeding), return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                feeding.result()
                pipe.close_writer()
            return await working
        finally:
            for task in (feeding, working):
                task.cancel()
            await asyncio.wait((feeding, working))


def _reason(error: Exception) -> str:
    return os_errors.reason(error) if isinstance(error, OSError) else _in_words_of_go(str(error))


def _in_words_of_go(text: str) -> str:
    """Return what dockerd says of an archive that is refused."""
    if text.startswith("invalid tar header"):
        return "archive/tar: invalid tar header"
    if name := re.fullmatch(r'(".*") leads outside the tree', text, re.DOTALL):
        return f"invalid entry name {name[1]}"
    return "unexpected EOF" if text.endswith(": unexpected EOF") else text


def _raise(answer: object, reference: str, path: str) -> None:
    match answer:
        case {"missing": True}:
            raise PathNotFound(path, reference)
        case {"not_directory": True}:
            raise NotADirectory
        case {"read_only": "volume"}:
            raise VolumeReadOnly
        case {"read_only": "rootfs"}:
            raise RootReadOnly
        case {"error": str(reason)}:
            raise ArchiveFailed(reason)


def absolute(path: str) -> str:
    """Return a path from the container's root, cleaned, with its end of `/` or `/.` kept: that follows a last link."""
    cleaned = posixpath.normpath("/" + path.lstrip("/"))
    if path.endswith("/.") or path == ".":
        return cleaned.rstrip("/") + "/."
    return cleaned + "/" if path.endswith("/") and cleaned != "/" else cleaned


def _base(path: str) -> str:
    """Return the last element, as Go's `filepath.Base`."""
    return path.rstrip("/").rpartition("/")[2] or "/"


def _name(path: str) -> str:
    """Return what the archive calls it: nothing for the root, whose entries then begin with a slash."""
    return "" if path == "/" else _base(path)


_GO_BITS = (
    (stat.S_ISUID, 1 << 23),
    (stat.S_ISGID, 1 << 22),
    (stat.S_ISVTX, 1 << 20),
)
_GO_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
}


def go_mode(mode: int) -> int:
    """Return a mode of stat(2) as Go's `os.FileMode` has it."""
    special = sum(go for bit, go in _GO_BITS if mode & bit)
    return mode & 0o777 | _GO_KINDS.get(stat.S_IFMT(mode), 0) | special
