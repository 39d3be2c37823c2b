"""Events, past and live."""

from aiohttp import web

from engine.api.routing import Route
from engine.api.transport.stream import JSONAnswer
from engine.api.wire import query
from engine.api.wire.events import encode_event
from engine.core.errors import InvalidParameter
from engine.domain.events.bus import EventBus


class UntilBeforeSince(InvalidParameter):
    """The period asked for ends before it begins."""

    def __init__(self, since: str, until: str) -> None:
        super().__init__(f"`since` time ({since}) cannot be after `until` time ({until})")


class EventHandlers:
    """The route /events."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("GET", "/events", self.events)]

    async def events(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /events: the headers at once, then a line for each event."""
        since, until = query.instant(request, "since"), query.instant(request, "until")
        if since and until and since > until:
            raise UntilBeforeSince(query.text(request, "since"), query.text(request, "until"))
        version = request["api_version"]
        with self._bus.subscribe(since, until, query.filters(request)) as subscription:
            answer = JSONAnswer(request)
            await answer.begin()
            async for event in subscription:
                await answer.send(encode_event(event, version))
        return await answer.finish()
