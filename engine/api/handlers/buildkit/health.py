"""gRPC's `Health` service: whether the daemon is alive. It is, if it answers."""

from engine.api.transport.rpc import Call, Endpoint
from engine.domain.builder.protocol.messages import Message, health

SERVICE = "grpc.health.v1.Health"
_SERVING = 1


class HealthService:
    """The service."""

    def endpoints(self) -> dict[str, Endpoint]:
        """Return the methods."""
        return {"Check": self._check}

    async def _check(self, _request: Message, _call: Call) -> Message:
        return health.HealthCheckResponse(status=_SERVING)
