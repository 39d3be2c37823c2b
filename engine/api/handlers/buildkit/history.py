"""The methods of BuildKit's `Control` service that concern builds which were made."""

from collections.abc import AsyncIterator

from engine.api.transport.rpc import Call, Endpoint
from engine.api.wire.buildkit_history import encode_history
from engine.core import times
from engine.core.model.build import BuildRecord
from engine.domain.builder.history import BuildHistory, Change
from engine.domain.builder.history_filters import matches
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
            for change, record in self._now(request):
                yield encode_history(change, record)
            while not request.EarlyExit:
                change, record = await changes.get()
                if request.Ref in ("", record.ref):
                    yield encode_history(change, record)

    def _now(self, request: Message) -> list[tuple[Change, BuildRecord]]:
        """Return what there is, those that run first. Raises InvalidHistoryFilter."""
        found = [(Change.STARTED, record) for record in self._history.active(request.Ref)]
        if not request.ActiveOnly:
            found += [(Change.COMPLETE, record) for record in self._history.completed(request.Ref)]
        filters, now = list(request.Filter), times.now()
        return [each for each in found if matches(each[1], filters, now)][: request.Limit or None]

    async def _update(self, request: Message, _call: Call) -> Message:
        if request.Delete:
            await self._history.delete(request.Ref)
        elif not request.Finalize:
            await self._history.pin(request.Ref, pinned=request.Pinned)
        return control.UpdateBuildHistoryResponse()
