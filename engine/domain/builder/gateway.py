"""The frontend `gateway.v0`: one in an image (`--build-arg BUILDKIT_SYNTAX=IMAGE`), as far as it is built in."""

from dataclasses import replace

from engine.domain.builder.builds import Frontend
from engine.domain.builder.dockerfile.syntax import require_built_in
from engine.domain.builder.job import Job
from engine.domain.builder.result import FrontendRequest, FrontendResult

_OWN = ("source", "cmdline")


class GatewayFrontend:
    """Hands requests on to the built-in frontend."""

    def __init__(self, built_in: Frontend) -> None:
        self._built_in = built_in

    async def solve(self, request: FrontendRequest, job: Job) -> FrontendResult:
        """Return what a request comes down to. Raises UnknownSyntax, WharfError."""
        require_built_in(request.options.get("source", ""))
        options = {name: value for name, value in request.options.items() if name not in _OWN}
        return await self._built_in.solve(replace(request, options=options), job)
