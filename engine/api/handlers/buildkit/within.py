"""Within which build a call of BuildKit's `LLBBridge` service is: its metadata say so."""

from engine.api.transport.rpc import Call, Code, RpcError
from engine.domain.builder.builds import Build, Builds, NoSuchBuild

_BUILD = "buildkit-controlapi-buildid"


async def within(builds: Builds, call: Call) -> Build:
    """Return the build of a call. Raises NoSuchBuild, RpcError."""
    names = call.metadata.get(_BUILD, ())
    if not names:
        raise RpcError(Code.INVALID_ARGUMENT, f"no {_BUILD} found in context")
    build = await builds.find(names[0])
    if build.over:
        # What is asked of it now would never be answered.
        raise NoSuchBuild(names[0])
    return build
