"""What a device of the Container Device Interface changes in a container's OCI configuration.

Source: the CDI specification 0.8 (`SPEC.md` of cncf-tags/container-device-interface), whose field names these are.
"""

from msgspec import Struct


class DeviceNode(Struct, frozen=True, kw_only=True, rename="camel"):
    """A device node in the container. What is not said is as on the host, at `host_path` or else `path`."""

    path: str
    host_path: str = ""
    type: str = ""
    major: int = 0
    minor: int = 0
    file_mode: int | None = None
    permissions: str = ""
    uid: int | None = None
    gid: int | None = None


class CdiMount(Struct, frozen=True, kw_only=True, rename="camel"):
    """A mount in the container."""

    host_path: str
    container_path: str
    options: list[str] | None = None
    type: str = ""


class Hook(Struct, frozen=True, kw_only=True, rename="camel"):
    """A program of the host that runs at a moment of the container's start or end."""

    hook_name: str
    path: str
    args: list[str] | None = None
    env: list[str] | None = None
    timeout: int | None = None


class ContainerEdits(Struct, frozen=True, kw_only=True, rename="camel"):
    """All that a device, or its whole kind, changes."""

    env: list[str] | None = None
    device_nodes: list[DeviceNode] | None = None
    mounts: list[CdiMount] | None = None
    hooks: list[Hook] | None = None
    additional_gids: list[int] | None = None
