"""Start, stop, restart, kill, pause, unpause, rename, remove, wait, prune, resize."""

from aiohttp import web

from engine.api.handlers.containers.checkpoint import SEGMENT
from engine.api.routing import Route
from engine.api.transport import reply
from engine.api.transport.stream import JSONAnswer
from engine.api.wire import query
from engine.api.wire.body import refuse_body
from engine.domain.containers.checkpoints import Checkpoints
from engine.domain.containers.remove import Remover
from engine.domain.containers.resize import Resizer
from engine.domain.containers.sizes import Sizer
from engine.domain.containers.stop import Stopper
from engine.domain.containers.supervisor import Supervisor
from engine.domain.containers.table import ContainerTable
from engine.domain.containers.wait import Condition, Waits, parse_condition

_START_WITH_BODY = "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"


class LifecycleHandlers:
    """The routes that change what a container does."""

    def __init__(
        self, supervisor: Supervisor, stopper: Stopper, remover: Remover, sizer: Sizer, checkpoints: Checkpoints
    ) -> None:
        self._supervisor = supervisor
        self._stopper = stopper
        self._remover = remover
        self._sizer = sizer
        self._checkpoints = checkpoints

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("POST", "/containers/{name:.*}/start", self.start, finishes=True),
            Route("POST", "/containers/{name:.*}/stop", self.stop, finishes=True),
            Route("POST", "/containers/{name:.*}/restart", self.restart, finishes=True),
            Route("POST", "/containers/{name:.*}/kill", self.kill, finishes=True),
            Route("POST", "/containers/{name:.*}/pause", self.pause, finishes=True),
            Route("POST", "/containers/{name:.*}/unpause", self.unpause, finishes=True),
            Route("POST", "/containers/{name:.*}/rename", self.rename, finishes=True),
            Route("DELETE", "/containers/{name:.*}", self.remove, finishes=True),
            Route("POST", "/containers/prune", self.prune, finishes=True),
        ]

    async def start(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /containers/{name}/start."""
        await refuse_body(request, _START_WITH_BODY)
        name, directory = query.text(request, "checkpoint"), query.text(request, "checkpoint-dir")
        checkpoint = await self._checkpoints.find(request["name"], name, directory)
        await self._supervisor.start(request["name"], checkpoint)
        return reply.empty(204)

    async def stop(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /containers/{name}/stop."""
        await self._stopper.stop(request["name"], query.integer(request, "t", None), query.text(request, "signal"))
        return reply.empty(204)

    async def restart(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /containers/{name}/restart."""
        await self._stopper.restart(request["name"], query.integer(request, "t", None), query.text(request, "signal"))
        return reply.empty(204)

    async def kill(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /containers/{name}/kill."""
        await self._stopper.kill(request["name"], query.text(request, "signal"))
        return reply.empty(204)

    async def pause(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /containers/{name}/pause."""
        await self._stopper.pause(request["name"])
        return reply.empty(204)

    async def unpause(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /containers/{name}/unpause."""
        await self._stopper.unpause(request["name"])
        return reply.empty(204)

    async def rename(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /containers/{name}/rename."""
        await self._remover.rename(request["name"], query.text(request, "name"))
        return reply.empty(204)

    async def remove(self, request: web.BaseRequest) -> web.StreamResponse:
        """DELETE /containers/{name}, and /containers/{name}/checkpoints/{checkpoint}."""
        container, is_checkpoint, name = request["name"].rpartition(SEGMENT)
        if is_checkpoint:
            await self._checkpoints.remove(container, name, query.text(request, "dir"))
            return reply.empty(204)
        if query.boolean(request, "link"):
            await self._remover.unlink(request["name"])
            return reply.empty(204)
        await self._remover.remove(
            request["name"], force=query.boolean(request, "force"), volumes=query.boolean(request, "v")
        )
        return reply.empty(204)

    async def prune(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /containers/prune."""
        pruned = await self._remover.prune(query.filters(request), self._sizer)
        return reply.json({"ContainersDeleted": pruned.ids or None, "SpaceReclaimed": pruned.reclaimed})


class WaitHandlers:
    """Wait and resize: calls that wait for a container to get somewhere."""

    def __init__(self, table: ContainerTable, waits: Waits, resizer: Resizer) -> None:
        self._table = table
        self._waits = waits
        self._resizer = resizer

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("POST", "/containers/{name:.*}/wait", self.wait),
            Route("POST", "/containers/{name:.*}/resize", self.resize),
        ]

    async def wait(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /containers/{name}/wait: armed first, then the headers, then the answer."""
        modern = request["api_version"] >= (1, 30)
        condition = parse_condition(query.text(request, "condition")) if modern else Condition.NOT_RUNNING
        future = self._waits.arm(self._table.get(request["name"]), condition)
        try:
            answer = JSONAnswer(request)
            await answer.begin()
            ended = await future
        finally:
            future.cancel()
        body: dict[str, object] = {"StatusCode": ended.code}
        if ended.error:
            body["Error"] = {"Message": ended.error}
        return await answer.finish(body)

    async def resize(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /containers/{name}/resize."""
        height, width = query.required_integer(request, "h"), query.required_integer(request, "w")
        await self._resizer.resize(request["name"], height, width)
        return reply.empty(200)
