"""What registries know: GET /distribution/{name}/json, GET /images/search."""

from typing import Any

from aiohttp import web

from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.wire import auth, query
from engine.core import references
from engine.core.errors import InvalidParameter
from engine.domain.images.documents import descriptor_json, platform_json
from engine.domain.images.registries import Registries


class InvalidLimit(InvalidParameter):
    """The limit is no number."""

    def __init__(self, value: str) -> None:
        super().__init__(f'invalid limit specified: strconv.Atoi: parsing "{value}": invalid syntax')


class DistributionHandlers:
    """Asks registries for clients."""

    def __init__(self, registries: Registries) -> None:
        self._registries = registries

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("GET", "/distribution/{name:.*}/json", self.inspect),
            Route("GET", "/images/search", self.search),
        ]

    async def inspect(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /distribution/{name}/json."""
        reference = references.parse(request["name"]).with_default_tag()
        found = await self._registries.describe(reference, auth.credentials(request))
        platforms = None if found.platforms is None else [platform_json(p) for p in found.platforms]
        return reply.json({"Descriptor": descriptor_json(found.descriptor), "Platforms": platforms})

    async def search(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /images/search."""
        found = await self._registries.search(query.text(request, "term"), _limit(request), query.filters(request))
        answer: list[dict[str, Any]] = [
            {
                "star_count": f.stars,
                "is_official": f.official,
                "name": f.name,
                "is_automated": f.automated,
                "description": f.description,
            }
            for f in found
        ]
        return reply.json(answer)


def _limit(request: web.BaseRequest) -> int:
    """Return the `limit`, 0 where it is absent."""
    value = query.text(request, "limit")
    if not value:
        return 0
    if not value.removeprefix("-").isdigit():
        raise InvalidLimit(value)
    return int(value)
