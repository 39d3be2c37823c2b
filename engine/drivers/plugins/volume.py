"""The volume driver protocol: `VolumeDriver.*` of a plugin. Source: Docker's volume plugin API."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from engine.core import times
from engine.core.errors import NotFound
from engine.core.model.volume import Volume
from engine.drivers.plugins.client import PluginClient
from engine.drivers.plugins.failures import PluginFailed, PluginRefused

CAPABILITY = "VolumeDriver"
_SHORT = 60.0
# For a question to all plugins at once, whose answer nobody may need.
_GLANCE = 5.0
_SCOPES = ("local", "global")


class VolumeUnknown(NotFound):
    """The plugin has no volume of that name, or says that it cannot tell."""

    def __init__(self, name: str) -> None:
        super().__init__(f"get {name}: no such volume")


class RemoteVolumeDriver:
    """A plugin's volumes. What the plugin says is never kept here."""

    def __init__(self, name: str, client: PluginClient, on_host: Callable[[str], str] = str) -> None:
        """`on_host` turns a path that the plugin names into one of the host's; it may block."""
        self.name = name
        self._client = client
        self._on_host = on_host
        self._scope = ""
        self._asking = asyncio.Lock()

    async def scope(self) -> str:
        """Return `local` or `global`; a plugin that does not say is local."""
        async with self._asking:
            if not self._scope:
                self._scope = await self._ask_scope()
        return self._scope

    async def _ask_scope(self) -> str:
        try:
            answer = await self._client.call(f"{CAPABILITY}.Capabilities", {}, timeout=_SHORT)
        except PluginFailed:
            return _SCOPES[0]
        capabilities = answer.get("Capabilities")
        scope = str((capabilities if isinstance(capabilities, dict) else {}).get("Scope") or "").lower()
        return scope if scope in _SCOPES else _SCOPES[0]

    async def get(self, name: str, *, patient: bool = True) -> Volume:
        """Return a volume. Raises VolumeUnknown; PluginUnreachable where the plugin is not there."""
        try:
            answer = await self._call("Get", {"Name": name}, patient=patient, timeout=_SHORT if patient else _GLANCE)
        except (PluginRefused, PluginFailed) as error:
            raise VolumeUnknown(name) from error
        found = answer.get("Volume")
        if not isinstance(found, dict):
            raise VolumeUnknown(name)
        return self._volume(found, name)

    async def list(self) -> list[Volume]:
        """Return all volumes of the plugin. Raises PluginRefused, PluginFailed, PluginUnreachable."""
        answer = await self._call("List", {}, patient=False, timeout=_SHORT)
        found = answer.get("Volumes") or []
        return [self._volume(v, v["Name"]) for v in found if isinstance(v, dict) and isinstance(v.get("Name"), str)]

    def _volume(self, found: Mapping[str, Any], name: str) -> Volume:
        """The mountpoint is shown as the plugin says it, though it may be one of its own tree's, as dockerd does."""
        status, mountpoint = found.get("Status"), found.get("Mountpoint")
        return Volume(
            name=name,
            created_at=_instant(found.get("CreatedAt")),
            driver=self.name,
            mountpoint=mountpoint if isinstance(mountpoint, str) else "",
            status=dict(sorted(status.items())) if isinstance(status, dict) else None,
        )

    async def create(self, name: str, options: Mapping[str, str] | None) -> None:
        """Make a volume. Raises PluginRefused, PluginFailed, PluginUnreachable."""
        await self._call("Create", {"Name": name, "Opts": options})

    async def remove(self, name: str) -> None:
        """Remove a volume. Raises PluginRefused, PluginFailed, PluginUnreachable."""
        await self._call("Remove", {"Name": name})

    async def mount(self, name: str, user: str) -> str:
        """Make a volume's data available for `user`; return its path. Raises as `remove`."""
        answer = await self._call("Mount", {"Name": name, "ID": user})
        path = answer.get("Mountpoint")
        return await asyncio.to_thread(self._on_host, path) if isinstance(path, str) and path else ""

    async def unmount(self, name: str, user: str) -> None:
        """Let `user` use a volume no longer. Raises as `remove`."""
        await self._call("Unmount", {"Name": name, "ID": user})

    async def _call(
        self, method: str, arguments: Mapping[str, Any], *, patient: bool = True, timeout: float = 0
    ) -> dict[str, Any]:
        return await self._client.ask(f"{CAPABILITY}.{method}", arguments, patient=patient, timeout=timeout)


def _instant(value: object) -> int:
    try:
        return times.parse_rfc3339(value) if isinstance(value, str) else 0
    except ValueError:
        return 0
