"""The log driver protocol: `LogDriver.*` of a plugin. Source: Docker's log driver plugin API."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.core import times
from engine.core.errors import WharfError
from engine.drivers.plugins.client import PluginClient

CAPABILITY = "LogDriver"
# Where a plugin sees the FIFOs that it is to read.
FIFOS = "/run/docker/logging"
_SHORT = 5.0


@dataclass(frozen=True, slots=True)
class LogRequest:
    """Which part of a log is asked for: instants in nanoseconds, 0 for none; `tail` in lines, None for all."""

    since: int = 0
    until: int = 0
    tail: int | None = None
    follow: bool = False


class RemoteLogDriver:
    """A plugin's side of logs. `information` describes the container, with the names of the protocol."""

    def __init__(self, client: PluginClient) -> None:
        self._client = client

    async def reads(self) -> bool:
        """Tell whether the plugin can give logs back; one that does not say cannot."""
        try:
            answer = await self._call("Capabilities", {})
        except WharfError:
            return False
        capabilities = answer.get("Cap")
        return isinstance(capabilities, dict) and capabilities.get("ReadLogs") is True

    async def start(self, file: str, information: Mapping[str, Any]) -> None:
        """Have the plugin read a FIFO. Raises PluginRefused, PluginFailed, PluginUnreachable."""
        await self._call("StartLogging", {"File": f"{FIFOS}/{file}", "Info": information})

    async def stop(self, file: str) -> None:
        """Tell the plugin that nothing comes any more. Raises as `start`."""
        await self._call("StopLogging", {"File": f"{FIFOS}/{file}"}, patient=False, timeout=_SHORT)

    def read(self, information: Mapping[str, Any], request: LogRequest) -> AsyncGenerator[bytes, None]:
        """Return a log's messages as they come. Raises PluginFailed, PluginUnreachable."""
        config = {
            "Since": times.rfc3339(request.since),
            "Until": times.rfc3339(request.until),
            "Tail": -1 if request.tail is None else request.tail,
            "Follow": request.follow,
        }
        return self._client.stream(f"{CAPABILITY}.ReadLogs", {"Info": information, "Config": config})

    async def _call(
        self, method: str, arguments: Mapping[str, Any], *, patient: bool = True, timeout: float = 0
    ) -> dict[str, Any]:
        return await self._client.ask(f"{CAPABILITY}.{method}", arguments, patient=patient, timeout=timeout)
