"""Where BuildKit's clients connect: `POST /grpc` (they call us), `POST /session` (we call them), or HTTP/2 outright."""

from collections.abc import Mapping, Sequence

from aiohttp import web

from engine.api.handlers.buildkit.session.sessions import Sessions
from engine.api.routing import Route
from engine.api.transport.h2_client import H2Client
from engine.api.transport.h2c import RpcServer, attach
from engine.core.errors import Internal, InvalidParameter


class UpgradeMissing(InvalidParameter):
    """A request that is no use without an upgrade to HTTP/2."""

    def __init__(self) -> None:
        super().__init__("no upgrade proto in request")


class UpgradeUnknown(InvalidParameter):
    """A request to upgrade to something else."""

    def __init__(self, protocol: str) -> None:
        super().__init__(f"protocol {protocol} not supported")


class BuildKitHandlers:
    """The routes."""

    def __init__(self, server: RpcServer, sessions: Sessions) -> None:
        self._server = server
        self._sessions = sessions

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("POST", "/grpc", self._grpc), Route("POST", "/session", self._session)]

    async def _grpc(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            _require_upgrade(request)
        except InvalidParameter as error:
            # dockerd's answer here is 500, while that of /session is 400.
            raise Internal(str(error)) from error
        return await self._server.serve(request)

    async def _session(self, request: web.BaseRequest) -> web.StreamResponse:
        _require_upgrade(request)
        client = H2Client()
        with self._sessions.joined(_headers(request), client):
            return await attach(request, client, client.closed)


def _require_upgrade(request: web.BaseRequest) -> None:
    wanted = request.headers.get("Upgrade", "")
    if not wanted:
        raise UpgradeMissing
    if wanted.lower() != "h2c":
        raise UpgradeUnknown(wanted)


def _headers(request: web.BaseRequest) -> Mapping[str, Sequence[str]]:
    return {name.lower(): request.headers.getall(name) for name in request.headers}
