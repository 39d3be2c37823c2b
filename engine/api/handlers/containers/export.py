"""Export, changes, commit: a container's tree as it differs from its image."""

from aiohttp import web

from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.transport.stream import ByteStream
from engine.api.wire import query
from engine.api.wire.body import read_body
from engine.api.wire.codec import decode, parse
from engine.core.model.container import ContainerConfig
from engine.domain.containers.commit import CommitRequest, ContainerCommitter
from engine.domain.containers.export import Exporter
from engine.domain.images.tag import new_name


class ExportHandlers:
    """The routes."""

    def __init__(self, exporter: Exporter, committer: ContainerCommitter) -> None:
        self._exporter = exporter
        self._committer = committer

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("GET", "/containers/{name:.*}/export", self.export),
            Route("GET", "/containers/{name:.*}/changes", self.changes),
            Route("POST", "/commit", self.commit),
        ]

    async def export(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /containers/{name}/export."""
        stream = ByteStream(request, "application/octet-stream")
        async with self._exporter.export(request["name"]) as archive:
            await stream.pass_on(archive)
        return await stream.finish()

    async def changes(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /containers/{name}/changes."""
        found = await self._exporter.changes(request["name"])
        return reply.json([{"Path": path, "Kind": kind} for path, kind in found] or None)

    async def commit(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /commit."""
        value = await read_body(request, required=False)
        given = parse(value) if value.strip() else None
        wanted = CommitRequest(
            name=new_name(query.text(request, "repo"), query.text(request, "tag")),
            config=decode(given, ContainerConfig) if isinstance(given, dict) else None,
            changes=query.texts(request, "changes"),
            author=query.text(request, "author"),
            comment=query.text(request, "comment"),
            pause=query.boolean(request, "pause", default=True),
        )
        image_id = await self._committer.commit(query.text(request, "container"), wanted)
        return reply.json({"Id": image_id}, status=201)
