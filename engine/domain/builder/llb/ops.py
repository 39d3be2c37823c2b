"""The operations of LLB, BuildKit's low-level build graph: sources, commands, file operations. Pure data.

Both fronts make such graphs and the solver solves them. Names and meaning are those of BuildKit's
`solver/pb/ops.proto`; `codec.py` reads and writes its wire form, on which a vertex's digest rests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from engine.core.model.image import Platform

EMPTY = -1
"""As an input's or output's number: none (an empty tree; nothing that others could use)."""


class MountType(IntEnum):
    """What is mounted for a command."""

    BIND = 0
    SECRET = 1
    SSH = 2
    CACHE = 3
    TMPFS = 4


class CacheSharing(IntEnum):
    """Who may use a cache mount at the same time."""

    SHARED = 0
    PRIVATE = 1
    LOCKED = 2


class NetMode(IntEnum):
    """A command's network."""

    SANDBOX = 0
    HOST = 1
    NONE = 2


@dataclass(frozen=True, slots=True)
class SourceOp:
    """A tree from outside: `docker-image://REF`, `local://NAME`, `git://…`, `https://…`, `oci-layout://…`."""

    identifier: str
    attrs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Protected:
    """A secret or an agent's socket: the client's name for it, and how its file looks inside."""

    id: str
    uid: int = 0
    gid: int = 0
    mode: int = 0o400
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Mount:
    """A tree or file of a command. `input` and `output` are numbers of the operation's inputs and outputs, or EMPTY."""

    dest: str
    input: int = EMPTY
    output: int = EMPTY
    selector: str = ""
    readonly: bool = False
    kind: MountType = MountType.BIND
    tmpfs_size: int = 0
    cache_id: str = ""
    sharing: CacheSharing = CacheSharing.SHARED
    protected: Protected | None = None


@dataclass(frozen=True, slots=True)
class SecretEnv:
    """A secret as an environment variable."""

    id: str
    name: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Meta:
    """How a command runs. `user` as in USER; `ulimits` as (name, soft, hard); `extra_hosts` as (name, address)."""

    args: Sequence[str]
    env: Sequence[str] = ()
    cwd: str = "/"
    user: str = ""
    hostname: str = ""
    extra_hosts: Sequence[tuple[str, str]] = ()
    ulimits: Sequence[tuple[str, int, int]] = ()
    cgroup_parent: str = ""
    proxy_env: Mapping[str, str] = field(default_factory=dict)
    valid_exit_codes: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class ExecOp:
    """A command. The mount at `/` is its root."""

    meta: Meta
    mounts: Sequence[Mount]
    network: NetMode = NetMode.SANDBOX
    insecure: bool = False
    secret_env: Sequence[SecretEnv] = ()
    devices: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Owner:
    """Who gets a file: numbers, or names to look up in the tree of input `names_input`."""

    user: int | str | None = None
    group: int | str | None = None
    names_input: int = EMPTY


@dataclass(frozen=True, slots=True)
class CopyAction:
    """Copy from the secondary input.

    `mode` is octal digits, symbolic (`u=rwX,go=rX`) or empty; the timestamp is in ns since the epoch, -1: as it is.
    """

    src: str
    dest: str
    owner: Owner | None = None
    mode: str = ""
    follow_symlink: bool = False
    dir_copy_contents: bool = False
    unpack: bool = False
    create_dest_path: bool = False
    allow_wildcard: bool = False
    allow_empty_wildcard: bool = False
    timestamp: int = -1
    include_patterns: Sequence[str] = ()
    exclude_patterns: Sequence[str] = ()
    required_paths: Sequence[str] = ()
    replace_existing: bool = False


@dataclass(frozen=True, slots=True)
class MakeFile:
    """Write a file."""

    path: str
    data: bytes
    mode: int = 0o644
    owner: Owner | None = None
    timestamp: int = -1


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """Make a directory."""

    path: str
    mode: int = 0o755
    make_parents: bool = False
    owner: Owner | None = None
    timestamp: int = -1


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove a file or tree."""

    path: str
    allow_not_found: bool = False
    allow_wildcard: bool = False


@dataclass(frozen=True, slots=True)
class MakeSymlink:
    """Make a symbolic link `new` to `old`."""

    old: str
    new: str
    owner: Owner | None = None
    timestamp: int = -1


@dataclass(frozen=True, slots=True)
class FileAction:
    """One action on the tree `input`: a number of an input or, from their count on, of earlier actions."""

    action: CopyAction | MakeFile | MakeDirectory | Remove | MakeSymlink
    input: int = EMPTY
    secondary_input: int = EMPTY
    output: int = EMPTY


@dataclass(frozen=True, slots=True)
class FileOp:
    """File operations, in order."""

    actions: Sequence[FileAction]


@dataclass(frozen=True, slots=True)
class MergeOp:
    """The trees of all inputs above one another, the last uppermost."""


@dataclass(frozen=True, slots=True)
class DiffOp:
    """What the second input has that the first has not; EMPTY stands for no tree."""

    lower: int = EMPTY
    upper: int = EMPTY


Operation = SourceOp | ExecOp | FileOp | MergeOp | DiffOp


@dataclass(frozen=True, slots=True)
class SourceRange:
    """Lines of a file, from 1. `data` is the whole file, for clients to show the lines (one object for all ranges)."""

    filename: str
    start: int
    end: int
    data: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Description:
    """What does not change a vertex's digest. `custom_name` is what people read (`llb.customname` in BuildKit)."""

    custom_name: str = ""
    ignore_cache: bool = False
    progress_group: tuple[str, str, bool] | None = None
    source: Sequence[SourceRange] = ()


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Vertex:
    """An operation and the trees it needs. Identity: the object; equality of work: `codec.digest_of`."""

    operation: Operation
    inputs: Sequence["Edge"] = ()
    platform: Platform | None = None
    description: Description = field(default_factory=Description)


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """One output of a vertex: a tree."""

    vertex: Vertex
    output: int = 0
