"""BuildKit's `Control` service: builds and their progress, the worker, the cache, the history."""

from collections.abc import AsyncIterator

from engine.api.handlers.buildkit.history import TIMESTAMP
from engine.api.handlers.buildkit.session.build_session import BuildSession
from engine.api.handlers.buildkit.session.sessions import Sessions
from engine.api.transport.h2_client import H2Client
from engine.api.transport.h2_tunnel import TunnelTransport
from engine.api.transport.rpc import Call, Endpoint
from engine.api.wire.buildkit_progress import encode_progress
from engine.api.wire.buildkit_requests import decode_solve
from engine.api.wire.buildkit_worker import Worker, encode_info, encode_worker
from engine.core import times
from engine.domain.builder.builds import Builds
from engine.domain.builder.contexts import Contexts
from engine.domain.builder.history import BuildHistory
from engine.domain.builder.job import Job
from engine.domain.builder.progress import Progress
from engine.domain.builder.protocol.messages import Message, control

SERVICE = "moby.buildkit.v1.Control"


class ControlService:
    """The service."""

    def __init__(
        self, builds: Builds, history: BuildHistory, sessions: Sessions, contexts: Contexts, worker: Worker
    ) -> None:
        self._builds = builds
        self._history = history
        self._worker = worker
        self._sessions = sessions
        self._contexts = contexts

    def endpoints(self) -> dict[str, Endpoint]:
        """Return the methods."""
        return {
            "Info": self._info,
            "ListWorkers": self._list_workers,
            "Session": self._session,
            "Solve": self._solve,
            "Status": self._status,
        }

    async def _info(self, _request: Message, _call: Call) -> Message:
        return encode_info()

    async def _list_workers(self, _request: Message, _call: Call) -> Message:
        return control.ListWorkersResponse(record=[encode_worker(self._worker)])

    async def _solve(self, request: Message, _call: Call) -> Message:
        wanted = decode_solve(request)
        session = BuildSession(request.Session, wanted.frontend_request.options, self._sessions, self._contexts)
        job = Job(wanted.ref, session, Progress())
        return control.SolveResponse(ExporterResponse=await self._builds.run(wanted, job))

    async def _status(self, request: Message, call: Call) -> AsyncIterator[Message]:
        if not self._builds.running(request.Ref) and self._history.completed(request.Ref):
            async for data in self._history.progress(request.Ref):
                yield control.StatusResponse.FromString(data)
            return
        build = await self._builds.find(request.Ref)
        await call.begin([(TIMESTAMP, times.rfc3339(times.now()))])
        async for batch in build.job.progress.follow():
            yield encode_progress(batch)

    async def _session(self, call: Call) -> None:
        client = H2Client()
        with self._sessions.joined(call.metadata, client):
            await TunnelTransport(call, client).pump()
