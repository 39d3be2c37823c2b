"""Named volumes."""

from typing import Any

from msgspec import Struct


class Volume(Struct, frozen=True, kw_only=True):
    """One volume: a directory that outlives containers. `mountpoint` is a path on the host.

    `status` is what a plugin says of its volume at the moment.
    """

    name: str
    created_at: int
    driver: str = "local"
    mountpoint: str = ""
    scope: str = "local"
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None
    anonymous: bool = False
    status: dict[str, Any] | None = None
