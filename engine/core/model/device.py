"""Device nodes of the host."""

from msgspec import Struct


class HostDevice(Struct, frozen=True, kw_only=True):
    """A device node: `kind` is `c` or `b`, `mode` its permission bits."""

    path: str
    kind: str
    major: int
    minor: int
    mode: int = 0o600
    uid: int = 0
    gid: int = 0
