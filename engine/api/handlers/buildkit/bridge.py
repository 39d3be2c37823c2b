"""BuildKit's `LLBBridge` service: what a client that steers its build asks for within it."""

from engine.api.handlers.buildkit.within import within
from engine.api.transport.rpc import Call, Endpoint, RpcError
from engine.api.wire.buildkit_progress import decode_warning
from engine.api.wire.buildkit_requests import decode_definition, decode_frontend_request, decode_result, encode_result
from engine.api.wire.buildkit_worker import Worker, encode_pong
from engine.domain.builder.builds import Builds
from engine.domain.builder.protocol.messages import Message, gateway
from engine.domain.builder.result import FrontendResult

SERVICE = "moby.buildkit.v1.frontend.LLBBridge"


class BridgeService:
    """The service. Each call says within which build it is."""

    def __init__(self, builds: Builds, worker: Worker) -> None:
        self._builds = builds
        self._worker = worker

    def endpoints(self) -> dict[str, Endpoint]:
        """Return the methods."""
        return {
            "Evaluate": self._evaluate,
            "Inputs": self._inputs,
            "Ping": self._ping,
            "Return": self._return,
            "Solve": self._solve,
            "Warn": self._warn,
        }

    async def _ping(self, _request: Message, call: Call) -> Message:
        await within(self._builds, call)
        return encode_pong(self._worker)

    async def _solve(self, request: Message, call: Call) -> Message:
        build = await within(self._builds, call)
        if request.Frontend:
            result = await self._builds.ask(request.Frontend, decode_frontend_request(request), build)
        else:
            result = FrontendResult({"": decode_definition(request.Definition)})
        if request.Evaluate:
            await self._builds.evaluate(list(result.refs.values()), build.job)
        return gateway.SolveResponse(result=encode_result(result, build.remember))

    async def _return(self, request: Message, call: Call) -> Message:
        build = await within(self._builds, call)
        if request.HasField("error"):
            error = request.error
            details = [(detail.type_url, detail.value) for detail in error.details]
            build.fail(RpcError(error.code, error.message, details))
        else:
            build.finish(decode_result(request.result, build))
        return gateway.ReturnResponse()

    async def _evaluate(self, request: Message, call: Call) -> Message:
        build = await within(self._builds, call)
        await self._builds.evaluate([build.edge(request.Ref)], build.job)
        return gateway.EvaluateResponse()

    async def _inputs(self, _request: Message, call: Call) -> Message:
        await within(self._builds, call)
        # A client has no inputs but those that it sends itself.
        return gateway.InputsResponse()

    async def _warn(self, request: Message, call: Call) -> Message:
        build = await within(self._builds, call)
        build.job.progress.send(decode_warning(request))
        return gateway.WarnResponse()
