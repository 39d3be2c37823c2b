"""Tag, delete, prune: what changes the names of images and the images themselves."""

from aiohttp import web

from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.wire import platforms, query
from engine.api.wire.images import encode_deleted, encode_pruned
from engine.domain.images.delete import DeleteOptions, Deleter
from engine.domain.images.prune import Pruner
from engine.domain.images.tag import Tagger, new_name


class ImageChangeHandlers:
    """The routes that change what exists."""

    def __init__(self, tagger: Tagger, deleter: Deleter, pruner: Pruner) -> None:
        self._tagger = tagger
        self._deleter = deleter
        self._pruner = pruner

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("POST", "/images/{name:.*}/tag", self.tag, finishes=True),
            Route("POST", "/images/prune", self.prune, finishes=True),
            Route("DELETE", "/images/{name:.*}", self.delete, finishes=True),
        ]

    async def tag(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /images/{name}/tag. Without a new name dockerd does nothing and says 200."""
        name = new_name(query.text(request, "repo"), query.text(request, "tag"))
        if name is None:
            return reply.empty(200)
        await self._tagger.tag(request["name"], name)
        return reply.empty(201)

    async def delete(self, request: web.BaseRequest) -> web.StreamResponse:
        """DELETE /images/{name}."""
        options = DeleteOptions(
            force=query.boolean(request, "force"),
            prune=not query.boolean(request, "noprune"),
            platforms=platforms.several(request, (1, 50)),
        )
        report = await self._deleter.delete(request["name"], options)
        return reply.json(encode_deleted(report))

    async def prune(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /images/prune."""
        return reply.json(encode_pruned(await self._pruner.prune(query.filters(request))))
