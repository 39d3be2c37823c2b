"""What the container part asks of plugins that are log drivers."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol

from engine.drivers.logs.forward.forwarder import Destination
from engine.drivers.logs.options import LogChunk, LogOptions


class LogPlugins(Protocol):
    """The log drivers among the plugins."""

    async def require(self, name: str) -> None:
        """Raise WharfError where no plugin of that name can be used."""

    async def reads(self, name: str) -> bool:
        """Tell whether a plugin can give logs back; False of one that is not there."""

    def destination(self, name: str, information: Mapping[str, Any]) -> Destination:
        """Return the way of a container's log to a plugin."""

    def read(self, name: str, information: Mapping[str, Any], options: LogOptions) -> AsyncGenerator[LogChunk, None]:
        """Return the chunks of a log that a plugin has kept. Raises WharfError."""
