"""POST /auth: does a registry accept these credentials?"""

from aiohttp import web

from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.wire import auth
from engine.api.wire.body import read_object
from engine.domain.images.registries import Registries


class AuthHandlers:
    """Checks credentials; none are kept."""

    def __init__(self, registries: Registries) -> None:
        self._registries = registries

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("POST", "/auth", self.login)]

    async def login(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /auth."""
        token = await self._registries.login(auth.read(await read_object(request)))
        return reply.json({"IdentityToken": token, "Status": "Login Succeeded"})
