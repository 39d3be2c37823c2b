"""The methods of BuildKit's `Control` service that concern the cache."""

from collections.abc import AsyncIterator

from engine.api.transport.rpc import Call, Endpoint
from engine.api.wire.buildkit_history import decode_prune, encode_disk_usage, encode_usage
from engine.core import times
from engine.domain.builder.protocol.messages import Message
from engine.domain.builder.prune import CachePruner
from engine.domain.builder.usage import CacheUsage, matches


class CacheMethods:
    """`docker buildx du` and `prune`."""

    def __init__(self, usage: CacheUsage, pruner: CachePruner) -> None:
        self._usage = usage
        self._pruner = pruner

    def endpoints(self) -> dict[str, Endpoint]:
        """Return the methods."""
        return {"DiskUsage": self._disk_usage, "Prune": self._prune}

    async def _disk_usage(self, request: Message, _call: Call) -> Message:
        oldest = times.now() - request.ageLimit if request.ageLimit else times.now()
        found = await self._usage.all()
        return encode_disk_usage(
            [usage for usage in found if usage.used_at <= oldest and matches(usage, list(request.filter))]
        )

    async def _prune(self, request: Message, _call: Call) -> AsyncIterator[Message]:
        async for usage in self._pruner.prune(decode_prune(request)):
            yield encode_usage(usage)
