"""POST /build?version=2: builds by BuildKit's rules for clients of the old route, with a session or an upload.

Answers with BuildKit's progress, line by line, and with the image's id.
"""

import asyncio
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from engine.api.transport import incoming
from engine.api.transport.progress import ProgressStream
from engine.api.wire.build import encode_image_id, encode_trace
from engine.core import ids
from engine.core.errors import Internal, WharfError
from engine.domain.builder.builds import BuildRequest, Builds, ExportTarget
from engine.domain.builder.classic.frontend_options import frontend_options
from engine.domain.builder.classic.options import BuildOptions
from engine.domain.builder.classic.session import UploadSession
from engine.domain.builder.classic.upload import receive
from engine.domain.builder.job import NETWORK_HOST, Job
from engine.domain.builder.progress import Progress
from engine.domain.builder.result import FrontendRequest
from engine.domain.builder.session import Session
from engine.drivers.confine.confine import Confine


class Cancelled(Internal):
    """The build was cancelled by its name."""

    def __init__(self) -> None:
        super().__init__("context canceled")


ClientOf = Callable[[str, Mapping[str, str]], Session]
"""The client of a session, for a build with these options."""


@dataclass(frozen=True, slots=True)
class SolvedParts:
    """What such builds are done with; uploaded contexts lie below `scratch`."""

    builds: Builds
    client_of: ClientOf
    confine: Confine
    scratch: Path


class SolvedBuilds:
    """Such builds; by the name that their client gave them, they can be cancelled."""

    def __init__(self, parts: SolvedParts) -> None:
        self._parts = parts
        self._named: dict[str, asyncio.Future[Mapping[str, str]]] = {}

    async def build(self, request: web.BaseRequest, options: BuildOptions) -> web.StreamResponse:
        """Build. The build ends when its client leaves."""
        asked = frontend_options(options)
        with tempfile.TemporaryDirectory(dir=self._parts.scratch, prefix="build-", ignore_cleanup_errors=True) as path:
            context = Path(path)
            client = self._parts.client_of(options.session, asked) if options.session else None
            session = client or UploadSession(ids.new_id(), context)
            if not options.remote:
                await receive(self._parts.confine, context, incoming.pieces(request))
                session = UploadSession(session.id, context, client)
            job = Job(ids.new_id(), session, Progress(), credentials=options.credentials)
            return await self._answer(
                request,
                options,
                BuildRequest(
                    ref=job.ref,
                    exporters=[ExportTarget(0, "moby", {"name": ",".join(str(name) for name in options.tags)})],
                    frontend="dockerfile.v0",
                    frontend_request=FrontendRequest(asked),
                    entitlements=[NETWORK_HOST] if options.host_config.network_mode == "host" else [],
                ),
                job,
            )

    async def _answer(
        self, request: web.BaseRequest, options: BuildOptions, wanted: BuildRequest, job: Job
    ) -> web.StreamResponse:
        stream = ProgressStream(request)
        work = asyncio.ensure_future(self._parts.builds.run(wanted, job))
        work.add_done_callback(lambda _: job.progress.end())
        name = options.build_id or job.ref
        self._named[name] = work
        try:
            async for batch in job.progress.follow():
                if not options.quiet:
                    await stream.send(encode_trace(batch))
            image = (await work).get("containerimage.digest", "")
            await stream.send(encode_image_id(image, quiet=options.quiet))
        except WharfError as error:
            await stream.fail(error)
        except asyncio.CancelledError:
            if not work.cancelled() or not stream.begun:
                raise
            await stream.fail(Cancelled())
        finally:
            del self._named[name]
            work.cancel()
            await asyncio.wait((work,))
        return await stream.finish()

    def cancel(self, name: str) -> None:
        """End the build of a name, where there is one."""
        if name in self._named:
            self._named[name].cancel()
