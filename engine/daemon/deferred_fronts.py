"""The builder's fronts, loaded with the first request that builds: a daemon that builds nothing is 8 MiB smaller."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from engine.api.handlers.deferred import Deferred
from engine.api.routing import Route
from engine.api.transport.later import Later
from engine.config.settings import Config
from engine.daemon.build_store import BuildStore
from engine.daemon.drivers import Drivers
from engine.daemon.resources import Resources

_MODULE = "engine.daemon.build_fronts"
_PATHS = ("/build", "/build/cancel", "/build/prune", "/grpc", "/session")


class Fronts(Protocol):
    """What `build_fronts.py` makes."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        ...

    def http2(self) -> asyncio.Protocol:
        """Return what serves a connection that speaks HTTP/2 outright."""
        ...

    async def close(self) -> None:
        """End all builds."""
        ...


class DeferredFronts:
    """Stands for the fronts until they are needed."""

    def __init__(
        self, config: Config, drivers: Drivers, resources: Resources, store: BuildStore, engine_id: str
    ) -> None:
        self._parts = (config, drivers, resources, store, engine_id)
        self._loading: asyncio.Task[Fronts] | None = None
        self._deferred = Deferred("POST", _PATHS, self._routes)

    def routes(self) -> list[Route]:
        """Return routes that load the fronts."""
        return self._deferred.routes()

    def http2(self) -> asyncio.Protocol:
        """Return what serves a connection that speaks HTTP/2 outright."""
        return Later(self._http2)

    async def close(self) -> None:
        """End all builds."""
        if self._loading is not None:
            fronts = await self._loading
            await fronts.close()

    async def _routes(self) -> list[Route]:
        return (await self._loaded()).routes()

    async def _http2(self) -> asyncio.Protocol:
        return (await self._loaded()).http2()

    async def _loaded(self) -> Fronts:
        """Return the fronts; several who come at once wait for the same. Raises OSError."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(), name="load-build-fronts")
        return await asyncio.shield(self._loading)

    async def _load(self) -> Fronts:
        try:
            # In a thread: reading the modules takes a good part of a second.
            module = await asyncio.to_thread(importlib.import_module, _MODULE)
            build: Callable[..., Awaitable[Fronts]] = module.build_fronts
            return await build(*self._parts)
        except BaseException:
            self._loading = None
            raise
