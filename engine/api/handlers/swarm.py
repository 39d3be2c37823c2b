"""What needs a swarm answers that there is none; plugins: there are none."""

from aiohttp import web

from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.wire import query
from engine.core.errors import InvalidParameter, NotFound, Unavailable
from engine.core.filters import require_known

_PARTS = ("swarm", "services", "nodes", "tasks", "secrets", "configs")


class NotASwarmManager(Unavailable):
    """Swarm mode is off."""

    def __init__(self) -> None:
        super().__init__(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to '
            "swarm and try again."
        )


class NotInASwarm(Unavailable):
    """There is nothing to leave."""

    def __init__(self) -> None:
        super().__init__("This node is not part of a swarm")


class SwarmUnsupported(InvalidParameter):
    """This daemon does not form or join swarms."""

    def __init__(self) -> None:
        super().__init__("swarm mode is not supported")


class PluginNotFound(NotFound):
    """No plugin has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f'plugin "{name}" not found')


class SwarmHandlers:
    """The routes below /swarm, /services, /nodes, /tasks, /secrets, /configs and /plugins."""

    def routes(self) -> list[Route]:
        """Return the routes."""
        refused = [Route(m, f"/{p}", self.refuse) for p in _PARTS for m in ("GET", "POST")]
        below = [Route(m, f"/{p}/{{name:.*}}", self.refuse) for p in _PARTS for m in ("GET", "POST", "DELETE")]
        return [
            Route("POST", "/swarm/init", self.unsupported),
            Route("POST", "/swarm/join", self.unsupported),
            Route("POST", "/swarm/leave", self.leave),
            *refused,
            *below,
            Route("GET", "/plugins", self.plugins),
            Route("GET", "/plugins/{name:.*}/json", self.plugin),
            Route("DELETE", "/plugins/{name:.*}", self.plugin),
            Route("POST", "/plugins/{name:.*}/enable", self.plugin),
            Route("POST", "/plugins/{name:.*}/disable", self.plugin),
        ]

    async def refuse(self, request: web.BaseRequest) -> web.StreamResponse:
        """Anything that a swarm manager would answer."""
        raise NotASwarmManager

    async def unsupported(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /swarm/init, /swarm/join."""
        raise SwarmUnsupported

    async def leave(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /swarm/leave."""
        raise NotInASwarm

    async def plugins(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /plugins."""
        require_known(query.filters(request), ("enabled", "capability"))
        return reply.json([])

    async def plugin(self, request: web.BaseRequest) -> web.StreamResponse:
        """Anything about one plugin."""
        raise PluginNotFound(request["name"])
