"""What needs a swarm answers that there is none."""

from aiohttp import web

from engine.api.routing import Route
from engine.core.errors import InvalidParameter, Unavailable

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


class SwarmHandlers:
    """The routes below /swarm, /services, /nodes, /tasks, /secrets and /configs."""

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
