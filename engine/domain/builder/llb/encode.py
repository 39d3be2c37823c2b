"""Operations as messages. Pure; the counterpart is `decode.py`."""

from collections.abc import Callable
from typing import Any

from engine.core.model.image import Platform
from engine.domain.builder.llb.ops import (
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
    Owner,
    Protected,
    Remove,
    SourceOp,
    Vertex,
)
from engine.domain.builder.protocol.messages import Message, pb


def op(vertex: Vertex, input_digests: list[str]) -> bytes:
    """Return the bytes of a vertex's operation, on which its digest rests: the same for the same work."""
    message = pb.Op(platform=platform(vertex.platform) if vertex.platform else None)
    for edge, digest in zip(vertex.inputs, input_digests, strict=True):
        message.inputs.add(digest=digest, index=edge.output)
    kind, encode = _OPERATIONS[type(vertex.operation)]
    getattr(message, kind).CopyFrom(encode(vertex.operation, len(vertex.inputs)))
    return serialize(message)


def serialize(message: Message) -> bytes:
    """Return a message's bytes, maps in the order of their keys."""
    return bytes(message.SerializeToString(deterministic=True))


def platform(value: Platform) -> Message:
    """Return a platform as a message."""
    return pb.Platform(
        Architecture=value.architecture,
        OS=value.os,
        Variant=value.variant,
        OSVersion=value.os_version,
        OSFeatures=value.os_features or [],
    )


def _source(source: SourceOp, _inputs: int) -> Message:
    return pb.SourceOp(identifier=source.identifier, attrs=source.attrs)


def _exec(command: ExecOp, _inputs: int) -> Message:
    return pb.ExecOp(
        meta=_meta(command.meta),
        mounts=[_mount(mount) for mount in command.mounts],
        network=int(command.network),
        security=int(command.insecure),
        secretenv=[pb.SecretEnv(ID=env.id, name=env.name, optional=env.optional) for env in command.secret_env],
        cdiDevices=[pb.CDIDevice(name=name) for name in command.devices],
    )


def _meta(meta: Meta) -> Message:
    return pb.Meta(
        args=meta.args,
        env=meta.env,
        cwd=meta.cwd,
        user=meta.user,
        hostname=meta.hostname,
        proxy_env=pb.ProxyEnv(**meta.proxy_env) if meta.proxy_env else None,
        extraHosts=[pb.HostIP(Host=host, IP=address) for host, address in meta.extra_hosts],
        ulimit=[pb.Ulimit(Name=name, Soft=soft, Hard=hard) for name, soft, hard in meta.ulimits],
        cgroupParent=meta.cgroup_parent,
        # As BuildKit's frontend has it, so that digests of steps are the same; nothing is ever left of mounts here.
        removeMountStubsRecursive=True,
        validExitCodes=meta.valid_exit_codes,
    )


def _mount(mount: Mount) -> Message:
    message = pb.Mount(
        input=mount.input,
        selector=mount.selector,
        dest=mount.dest,
        output=mount.output,
        readonly=mount.readonly,
        mountType=int(mount.kind),
    )
    if mount.kind is MountType.TMPFS:
        message.TmpfsOpt.size = mount.tmpfs_size
    elif mount.kind is MountType.CACHE:
        message.cacheOpt.CopyFrom(pb.CacheOpt(ID=mount.cache_id, sharing=int(mount.sharing)))
    elif mount.kind is MountType.SECRET and mount.protected:
        message.secretOpt.CopyFrom(_protected(pb.SecretOpt, mount.protected))
    elif mount.kind is MountType.SSH and mount.protected:
        message.SSHOpt.CopyFrom(_protected(pb.SSHOpt, mount.protected))
    return message


def _protected(kind: Any, value: Protected) -> Message:
    return kind(ID=value.id, uid=value.uid, gid=value.gid, mode=value.mode, optional=value.optional)


def _file(files: FileOp, _inputs: int) -> Message:
    return pb.FileOp(actions=[_file_action(action) for action in files.actions])


def _file_action(action: FileAction) -> Message:
    message = pb.FileAction(input=action.input, secondaryInput=action.secondary_input, output=action.output)
    kind, encode = _ACTIONS[type(action.action)]
    getattr(message, kind).CopyFrom(encode(action.action))
    return message


def _copy(copy: CopyAction) -> Message:
    octal = copy.mode.isdigit()
    return pb.FileActionCopy(
        src=copy.src,
        dest=copy.dest,
        owner=_owner(copy.owner),
        mode=int(copy.mode, 8) if octal else -1,
        modeStr="" if octal else copy.mode,
        followSymlink=copy.follow_symlink,
        dirCopyContents=copy.dir_copy_contents,
        attemptUnpackDockerCompatibility=copy.unpack,
        createDestPath=copy.create_dest_path,
        allowWildcard=copy.allow_wildcard,
        allowEmptyWildcard=copy.allow_empty_wildcard,
        timestamp=copy.timestamp,
        include_patterns=copy.include_patterns,
        exclude_patterns=copy.exclude_patterns,
        required_paths=copy.required_paths,
        alwaysReplaceExistingDestPaths=copy.replace_existing,
    )


def _make_file(file: MakeFile) -> Message:
    return pb.FileActionMkFile(
        path=file.path, mode=file.mode, data=file.data, owner=_owner(file.owner), timestamp=file.timestamp
    )


def _make_directory(directory: MakeDirectory) -> Message:
    return pb.FileActionMkDir(
        path=directory.path,
        mode=directory.mode,
        makeParents=directory.make_parents,
        owner=_owner(directory.owner),
        timestamp=directory.timestamp,
    )


def _remove(remove: Remove) -> Message:
    return pb.FileActionRm(path=remove.path, allowNotFound=remove.allow_not_found, allowWildcard=remove.allow_wildcard)


def _make_symlink(link: MakeSymlink) -> Message:
    return pb.FileActionSymlink(oldpath=link.old, newpath=link.new, owner=_owner(link.owner), timestamp=link.timestamp)


def _owner(owner: Owner | None) -> Message | None:
    if owner is None:
        return None
    names = owner.names_input
    return pb.ChownOpt(user=_user(owner.user, names), group=_user(owner.group, names))


def _user(user: int | str | None, names_input: int) -> Message | None:
    if user is None:
        return None
    if isinstance(user, int):
        return pb.UserOpt(byID=user)
    return pb.UserOpt(byName=pb.NamedUserOpt(name=user, input=names_input))


def _merge(_merge_op: MergeOp, inputs: int) -> Message:
    return pb.MergeOp(inputs=[pb.MergeInput(input=number) for number in range(inputs)])


def _diff(diff: DiffOp, _inputs: int) -> Message:
    return pb.DiffOp(lower=pb.LowerDiffInput(input=diff.lower), upper=pb.UpperDiffInput(input=diff.upper))


_OPERATIONS: dict[type, tuple[str, Callable[[Any, int], Message]]] = {
    SourceOp: ("source", _source),
    ExecOp: ("exec", _exec),
    FileOp: ("file", _file),
    MergeOp: ("merge", _merge),
    DiffOp: ("diff", _diff),
}

_ACTIONS: dict[type, tuple[str, Callable[[Any], Message]]] = {
    CopyAction: ("copy", _copy),
    MakeFile: ("mkfile", _make_file),
    MakeDirectory: ("mkdir", _make_directory),
    Remove: ("rm", _remove),
    MakeSymlink: ("symlink", _make_symlink),
}
