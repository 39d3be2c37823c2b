"""The methods of BuildKit's `Control` service that concern builds which were made."""

from collections.abc import AsyncIterator

from engine.api.transport.rpc import Call, Endpoint
from engine.api.wire.buildkit_history import encode_history
from engine.core import times
from engine.domain.builder.history import BuildHistory, Change
from engine.domain.builder.protocol.messages import Message, control

TIMESTAMP = "buildkit-current-timestamp"


class HistoryMethods:
    """`docker buildx history`."""

    def __init__(self, history: BuildHistory) -> None:
        self._history = history

    def endpoints(self) -> dict[str, Endpoint]:
        """Return the methods."""
        return {"ListenBuildHistory": self._listen, "UpdateBuildHistory": self._update}

    async def _listen(self, request: Message, call: Call) -> AsyncIterator[Message]:
        """Tell of what there is and, unless the client wants no more than that, of what happens."""
        await call.begin([(TIMESTAMP, times.rfc3339(times.now()))])
        with self._history.listening() as changes:
            for record in self._history.active(request.Ref):
                yield encode_history(Change.STARTED, record)
            if not request.ActiveOnly:
                for record in self._history.completed(request.Ref)[: request.Limit or None]:
                    yield encode_history(Change.COMPLETE, record)
            while not request.EarlyExit:
                change, record = await changes.get()
                if request.Ref in ("", record.ref):
                    yield encode_history(change, record)

    async def _update(self, request: Message, _call: Call) -> Message:
        if request.Delete:
            await self._history.delete(request.Ref)
        elif not request.Finalize:
            await self._history.pin(request.Ref, pinned=request.Pinned)
        return control.UpdateBuildHistoryResponse()
