"""Messages as operations, checked: they come from clients. Pure; the counterpart is `encode.py`.

Every number of an input or output is in range afterwards. What paths, commands and sources mean is for those to check
who act on them. Raises InvalidDefinition.
"""

from collections.abc import Callable
from typing import Any

from engine.core.model.image import Platform
from engine.domain.builder.llb.failures import InvalidDefinition
from engine.domain.builder.llb.ops import (
    EMPTY,
    CacheSharing,
    CopyAction,
    DiffOp,
    ExecOp,
    FileAction,
    FileOp,
    MakeDirectory,
    MakeFile,
    MakeSymlink,
    MergeOp,
    Meta,
    Mount,
    MountType,
    NetMode,
    Operation,
    Owner,
    Protected,
    Remove,
    SecretEnv,
    SourceOp,
)
from engine.domain.builder.protocol.messages import Message

_MAX_OUTPUTS = 1024


def operation(message: Message) -> Operation:
    """Return the operation of an `Op` message."""
    kind = message.WhichOneof("op")
    if kind not in _OPERATIONS:
        raise InvalidDefinition(f"unsupported operation {kind or 'without a kind'}")
    return _OPERATIONS[kind](getattr(message, kind), len(message.inputs))


def platform(message: Message) -> Platform:
    """Return a platform."""
    return Platform(
        os=message.OS,
        architecture=message.Architecture,
        variant=message.Variant,
        os_version=message.OSVersion,
        os_features=list(message.OSFeatures) or None,
    )


def output_numbers(found: Operation) -> set[int]:
    """Return the numbers of an operation's outputs."""
    if isinstance(found, ExecOp):
        return {mount.output for mount in found.mounts} - {EMPTY}
    if isinstance(found, FileOp):
        return {action.output for action in found.actions} - {EMPTY}
    return {0}


def _input(number: int, count: int) -> int:
    if not EMPTY <= number < count:
        raise InvalidDefinition(f"input {number} is out of range")
    return number


def _output(number: int) -> int:
    if not EMPTY <= number < _MAX_OUTPUTS:
        raise InvalidDefinition(f"output {number} is out of range")
    return number


def _enum(kind: type[Any], number: int) -> Any:
    try:
        return kind(number)
    except ValueError:
        raise InvalidDefinition(f"unknown {kind.__name__} {number}") from None


def _source(message: Message, _inputs: int) -> SourceOp:
    return SourceOp(message.identifier, dict(message.attrs))


def _exec(message: Message, inputs: int) -> ExecOp:
    if not message.meta.args:
        raise InvalidDefinition("a command without arguments")
    if not any(mount.dest == "/" for mount in message.mounts):
        raise InvalidDefinition("a command without a root")
    return ExecOp(
        meta=_meta(message.meta),
        mounts=tuple(_mount(mount, inputs) for mount in message.mounts),
        network=_enum(NetMode, message.network),
        insecure=bool(message.security),
        secret_env=tuple(SecretEnv(env.ID, env.name, env.optional) for env in message.secretenv),
        devices=tuple(device.name for device in message.cdiDevices),
    )


def _meta(message: Message) -> Meta:
    return Meta(
        args=tuple(message.args),
        env=tuple(message.env),
        cwd=message.cwd,
        user=message.user,
        hostname=message.hostname,
        extra_hosts=tuple((host.Host, host.IP) for host in message.extraHosts),
        ulimits=tuple((limit.Name, limit.Soft, limit.Hard) for limit in message.ulimit),
        cgroup_parent=message.cgroupParent,
        proxy_env={field.name: value for field, value in message.proxy_env.ListFields()},
        valid_exit_codes=tuple(message.validExitCodes),
    )


def _mount(message: Message, inputs: int) -> Mount:
    kind: MountType = _enum(MountType, message.mountType)
    return Mount(
        dest=message.dest,
        input=_input(message.input, inputs),
        output=_output(message.output),
        selector=message.selector,
        readonly=message.readonly,
        kind=kind,
        tmpfs_size=message.TmpfsOpt.size,
        cache_id=message.cacheOpt.ID,
        sharing=_enum(CacheSharing, message.cacheOpt.sharing),
        protected=_protected(kind, message),
    )


def _protected(kind: MountType, message: Message) -> Protected | None:
    if kind is MountType.SECRET:
        found = message.secretOpt
    elif kind is MountType.SSH:
        found = message.SSHOpt
    else:
        return None
    return Protected(found.ID, found.uid, found.gid, found.mode, found.optional)


def _file(message: Message, inputs: int) -> FileOp:
    return FileOp(
        tuple(_file_action(action, inputs + number) for number, action in enumerate(message.actions)),
    )


def _file_action(message: Message, inputs: int) -> FileAction:
    kind = message.WhichOneof("action")
    if kind not in _ACTIONS:
        raise InvalidDefinition(f"unsupported file action {kind or 'without a kind'}")
    return FileAction(
        action=_ACTIONS[kind](getattr(message, kind), inputs),
        input=_input(message.input, inputs),
        secondary_input=_input(message.secondaryInput, inputs),
        output=_output(message.output),
    )


def _copy(message: Message, inputs: int) -> CopyAction:
    return CopyAction(
        src=message.src,
        dest=message.dest,
        owner=_owner(message, inputs),
        mode=message.modeStr or (f"{message.mode:o}" if message.mode >= 0 else ""),
        follow_symlink=message.followSymlink,
        dir_copy_contents=message.dirCopyContents,
        unpack=message.attemptUnpackDockerCompatibility,
        create_dest_path=message.createDestPath,
        allow_wildcard=message.allowWildcard,
        allow_empty_wildcard=message.allowEmptyWildcard,
        timestamp=message.timestamp,
        include_patterns=tuple(message.include_patterns),
        exclude_patterns=tuple(message.exclude_patterns),
        required_paths=tuple(message.required_paths),
        replace_existing=message.alwaysReplaceExistingDestPaths,
    )


def _make_file(message: Message, inputs: int) -> MakeFile:
    return MakeFile(message.path, message.data, message.mode, _owner(message, inputs), message.timestamp)


def _make_directory(message: Message, inputs: int) -> MakeDirectory:
    owner = _owner(message, inputs)
    return MakeDirectory(message.path, message.mode, message.makeParents, owner, message.timestamp)


def _remove(message: Message, _inputs: int) -> Remove:
    return Remove(message.path, message.allowNotFound, message.allowWildcard)


def _make_symlink(message: Message, inputs: int) -> MakeSymlink:
    return MakeSymlink(message.oldpath, message.newpath, _owner(message, inputs), message.timestamp)


def _owner(message: Message, inputs: int) -> Owner | None:
    if not message.HasField("owner"):
        return None
    user, names = _user(message.owner, "user", inputs)
    group, group_names = _user(message.owner, "group", inputs)
    return Owner(user, group, max(names, group_names))


def _user(owner: Message, field: str, inputs: int) -> tuple[int | str | None, int]:
    message = getattr(owner, field)
    kind = message.WhichOneof("user")
    if kind == "byName":
        return message.byName.name, _input(message.byName.input, inputs)
    return (message.byID if kind else None), EMPTY


def _merge(message: Message, inputs: int) -> MergeOp:
    if [entry.input for entry in message.inputs] != list(range(inputs)):
        raise InvalidDefinition("a merge must take its inputs in order")
    return MergeOp()


def _diff(message: Message, inputs: int) -> DiffOp:
    return DiffOp(_input(message.lower.input, inputs), _input(message.upper.input, inputs))


_OPERATIONS: dict[str, Callable[[Message, int], Operation]] = {
    "source": _source,
    "exec": _exec,
    "file": _file,
    "merge": _merge,
    "diff": _diff,
}

_ACTIONS: dict[str, Callable[[Message, int], Any]] = {
    "copy": _copy,
    "mkfile": _make_file,
    "mkdir": _make_directory,
    "rm": _remove,
    "symlink": _make_symlink,
}
