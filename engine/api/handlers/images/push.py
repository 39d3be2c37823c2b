"""POST /images/{name}/push."""

from aiohttp import web

from engine.api.handlers.images import streaming
from engine.api.routing import Route
from engine.api.wire import auth, platforms, query
from engine.core import references
from engine.core.references import Reference
from engine.domain.images.push import Pusher, PushOptions


class PushHandlers:
    """Sends images to registries."""

    def __init__(self, pusher: Pusher) -> None:
        self._pusher = pusher

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("POST", "/images/{name:.*}/push", self.push)]

    async def push(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /images/{name}/push. Some clients send a body; it says nothing."""
        reference = references.parse(request["name"])
        tag = query.text(request, "tag")
        if tag:
            reference = Reference(reference.domain, reference.path, tag)
        options = PushOptions(reference, auth.credentials(request), platforms.one(request, (1, 46)))
        return await streaming.answer(request, lambda sink: self._pusher.push(options, sink))
