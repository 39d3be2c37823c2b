"""File operations: COPY, ADD, WORKDIR and their like. The work itself is done in a confined process."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, nullcontext, suppress
from pathlib import Path
from typing import Any

from engine.domain.builder.llb.ops import (
    EMPTY,
    CopyAction,
    FileAction,
    FileOp,
    MakeDirectory,
    MakeFile,
    MakeSymlink,
    Owner,
    Remove,
)
from engine.domain.builder.snapshot import Snapshot, Snapshots
from engine.domain.builder.solver.executors import Work
from engine.domain.builder.solver.keys import copy_selection
from engine.domain.containers.users import UnableToFindGroup, UnableToFindUser, resolve_user

_ACCOUNT_FILE_LIMIT = 8 << 20


class FileOperations:
    """Does file operations."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots

    async def run(self, work: Work, inputs: Sequence[Snapshot]) -> Sequence[Snapshot]:
        """Return the trees of all outputs. Raises ArchiveRefused, OSError, UnableToFindUser."""
        operation = work.vertex.operation
        assert isinstance(operation, FileOp)
        made: list[Snapshot] = list(inputs)
        outputs: dict[int, Snapshot] = {}
        for group in _groups(operation, len(inputs)):
            made += [Snapshot()] * (len(group) - 1)  # What is only a step on the way has no tree of its own.
            made.append(await self._changed(group, made, strict=work.job.strict_names))
            outputs |= {action.output: made[-1] for action in group if action.output != EMPTY}
        return [outputs[number] for number in sorted(outputs)]

    async def _changed(self, group: Sequence[FileAction], made: Sequence[Snapshot], *, strict: bool) -> Snapshot:
        """Do actions that follow one another in one tree."""
        base = made[group[0].input] if group[0].input != EMPTY else Snapshot()
        async with AsyncExitStack() as stack:
            views = _Views(self._snapshots, stack, made, strict=strict)
            tree = await stack.enter_async_context(self._snapshots.writable(base))
            with ExitStack() as files:
                sources: list[Path | int] = []
                actions = [await self._action(action, views, sources, files) for action in group]
                await self._snapshots.confine.file_op(tree.merged, actions, sources)
            return base.with_layer(await self._snapshots.commit(tree))

    async def _action(
        self, action: FileAction, views: "_Views", sources: list[Path | int], files: ExitStack
    ) -> Mapping[str, Any]:
        found = _described(action)
        owner = getattr(action.action, "owner", None)
        if owner is not None:
            found |= await self._owner(owner, views)
        elif not isinstance(action.action, CopyAction):
            found |= {"uid": 0, "gid": 0}
        if isinstance(action.action, CopyAction):
            found["source"] = len(sources)
            sources.append(await views.path(action.secondary_input))
        elif isinstance(action.action, MakeFile):
            found["source"] = len(sources)
            sources.append(_content(action.action.data, files))
        return found

    async def _owner(self, owner: Owner, views: "_Views") -> dict[str, int]:
        found: dict[str, int] = {}
        if isinstance(owner.user, int):
            found["uid"] = owner.user
        if isinstance(owner.group, int):
            found["gid"] = owner.group
        if isinstance(owner.user, str) or isinstance(owner.group, str):
            named = await self._named(owner, await views.path(owner.names_input), strict=views.strict)
            found = named | found
        return {"uid": 0, "gid": found.get("uid", 0)} | found if found else found

    async def _named(self, owner: Owner, names: Path, *, strict: bool) -> dict[str, int]:
        """Look names up in a tree; with BuildKit, one that is not there is root's. Raises UnableToFindUser, …Group."""
        confine = self._snapshots.confine
        passwd = await confine.read_file(names, "/etc/passwd", _ACCOUNT_FILE_LIMIT) or b""
        group = await confine.read_file(names, "/etc/group", _ACCOUNT_FILE_LIMIT) or b""
        found: dict[str, int] = {}
        with nullcontext() if strict else suppress(UnableToFindUser, UnableToFindGroup):
            if isinstance(owner.user, str):
                account = resolve_user(owner.user, passwd, group)
                found = {"uid": account.uid, "gid": account.gid}
        with nullcontext() if strict else suppress(UnableToFindUser, UnableToFindGroup):
            if isinstance(owner.group, str):
                found["gid"] = resolve_user(f"0:{owner.group}", passwd, group).gid
        return found


class _Views:
    """The trees that actions look at, each mounted once."""

    def __init__(self, snapshots: Snapshots, stack: AsyncExitStack, made: Sequence[Snapshot], *, strict: bool) -> None:
        self._snapshots = snapshots
        self._stack = stack
        self._made = made
        self._paths: dict[int, Path] = {}
        self.strict = strict

    async def path(self, number: int) -> Path:
        """Return where a tree is; EMPTY is the empty tree."""
        if number not in self._paths:
            tree = Snapshot() if number == EMPTY else self._made[number]
            self._paths[number] = await self._stack.enter_async_context(self._snapshots.view(tree))
        return self._paths[number]


def _content(data: bytes, files: ExitStack) -> int:
    fd = os.memfd_create("content", os.MFD_CLOEXEC)
    files.callback(os.close, fd)
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _groups(operation: FileOp, inputs: int) -> Iterator[list[FileAction]]:
    """Yield runs of actions of which each changes only what the one before it made, which nobody else wants."""
    actions = operation.actions
    wanted: dict[int, int] = {}
    for action in actions:
        for number in (action.input, action.secondary_input):
            wanted[number] = wanted.get(number, 0) + 1
    group: list[FileAction] = []
    for index, action in enumerate(actions):
        follows = bool(group) and action.input == inputs + index - 1 and wanted[action.input] == 1
        if group and not (follows and group[-1].output == EMPTY):
            yield group
            group = []
        group.append(action)
    if group:
        yield group


def _described(action: FileAction) -> dict[str, Any]:
    """Return an action in the words of `drivers/confine/file_op.py`, but for its owner and its source."""
    done = action.action
    found: dict[str, Any] = _DESCRIPTIONS[type(done)](done)
    if (timestamp := getattr(done, "timestamp", -1)) >= 0:
        found["time"] = timestamp
    return found


def _copy(done: CopyAction) -> dict[str, Any]:
    return {
        "do": "copy",
        **copy_selection(done),
        "dest": done.dest,
        "mode": done.mode,
        "contents": done.dir_copy_contents,
        "unpack": done.unpack,
        "create_dest": done.create_dest_path,
        "empty_wildcard": done.allow_empty_wildcard,
        "replace": done.replace_existing,
    }


def _directory(done: MakeDirectory) -> dict[str, Any]:
    return {"do": "directory", "path": done.path, "mode": done.mode & 0o7777, "parents": done.make_parents}


def _file(done: MakeFile) -> dict[str, Any]:
    return {"do": "file", "path": done.path, "mode": done.mode & 0o7777}


def _link(done: MakeSymlink) -> dict[str, Any]:
    return {"do": "link", "path": done.new, "target": done.old}


def _remove(done: Remove) -> dict[str, Any]:
    return {
        "do": "remove",
        "path": done.path,
        "allow_missing": done.allow_not_found,
        "wildcard": done.allow_wildcard,
    }


_DESCRIPTIONS: Mapping[type, Any] = {
    CopyAction: _copy,
    MakeDirectory: _directory,
    MakeFile: _file,
    MakeSymlink: _link,
    Remove: _remove,
}
