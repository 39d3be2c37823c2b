"""List, inspect, top: what containers are. Takes snapshots and no lock, so no stuck container delays an answer."""

import asyncio
from collections.abc import Sequence

import msgspec
from aiohttp import web

from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.wire import query
from engine.api.wire.containers import InspectExtras, SummaryExtras, encode_inspect, encode_summary, encode_top
from engine.core.model.container import Container
from engine.domain.containers.exec import Execs
from engine.domain.containers.links import names_by_target
from engine.domain.containers.selection import Listing, select
from engine.domain.containers.sizes import Sizer
from engine.domain.containers.table import ContainerTable
from engine.domain.containers.top import Top
from engine.domain.images.images import Images


class InspectAnswers:
    """The last answers, by container and version: a snapshot never changes, so neither does what it looks like.

    Clients that poll (CI runners, `docker compose up`) inspect the same containers over and over.
    """

    def __init__(self, capacity: int = 512) -> None:
        self._capacity = capacity
        self._known: dict[tuple[str, tuple[int, int]], tuple[Container, msgspec.Raw]] = {}

    def of(self, container: Container, version: tuple[int, int]) -> msgspec.Raw:
        """Return the answer for a container without running execs, as JSON."""
        key = (container.id, version)
        known = self._known.get(key)
        if known is not None and known[0] is container:
            return known[1]
        answer = msgspec.Raw(msgspec.json.encode(encode_inspect(container, version, InspectExtras())))
        self._known.pop(key, None)
        while len(self._known) >= self._capacity:
            del self._known[next(iter(self._known))]
        self._known[key] = (container, answer)
        return answer


class InspectHandlers:
    """The routes that only look."""

    def __init__(self, table: ContainerTable, execs: Execs, images: Images, sizer: Sizer, top: Top) -> None:
        self._table = table
        self._execs = execs
        self._images = images
        self._sizer = sizer
        self._top = top
        self._answers = InspectAnswers()

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("GET", "/containers/json", self.list),
            Route("GET", "/containers/{name:.*}/json", self.inspect),
            Route("GET", "/containers/{name:.*}/top", self.top),
        ]

    async def list(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /containers/json."""
        listing = Listing(
            all=query.boolean(request, "all"),
            last=max(query.integer(request, "limit", 0) or 0, 0),
            filters=query.filters(request),
        )
        chosen = select(self._table.all(), listing, self._images.id_of)
        sizes = await self._sizes(chosen) if query.boolean(request, "size") else {}
        version, aliases = request["api_version"], names_by_target(self._table.all())
        extras = (SummaryExtras(self._images, sizes.get(c.id), aliases.get(c.name, ())) for c in chosen)
        return reply.json([encode_summary(c, version, e) for c, e in zip(chosen, extras, strict=True)])

    async def _sizes(self, containers: Sequence[Container]) -> dict[str, tuple[int, int]]:
        measured = await asyncio.gather(*(self._sizer.measure(c) for c in containers))
        return {c.id: (m.rw, m.root) for c, m in zip(containers, measured, strict=True)}

    async def inspect(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /containers/{name}/json."""
        container, version = self._table.get(request["name"]), request["api_version"]
        self._execs.expect(container)
        exec_ids = self._execs.of_container(container.id)
        if query.boolean(request, "size"):
            sizes = await self._sizes([container])
            return reply.json(encode_inspect(container, version, InspectExtras(exec_ids, sizes[container.id])))
        if exec_ids:
            return reply.json(encode_inspect(container, version, InspectExtras(exec_ids)))
        return reply.json(self._answers.of(container, version))

    async def top(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /containers/{name}/top."""
        return reply.json(encode_top(await self._top.processes(request["name"], query.text(request, "ps_args"))))
