"""POST /build: the classic front of the builder; its cache."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from engine.api.handlers.build_solved import SolvedBuilds
from engine.api.handlers.images.streaming import DiskFailed
from engine.api.routing import Route
from engine.api.transport import incoming, reply
from engine.api.transport.progress import ProgressStream
from engine.api.wire.build import decode_build, encode_build_line
from engine.api.wire.build_cache import decode_prune, encode_pruned
from engine.core.errors import InvalidParameter, WharfError
from engine.domain.builder.classic.build import ClassicBuilder
from engine.domain.builder.classic.failures import CommandFailed
from engine.domain.builder.classic.options import BuildOptions
from engine.domain.builder.classic.output import ImageId, Line, Output
from engine.domain.builder.prune import CachePruner
from engine.domain.builder.prune_filters import UnusablePruneFilters
from engine.domain.builder.usage import InvalidCacheFilter
from engine.domain.images.progress import Text

log = logging.getLogger(__name__)
_AUX_SINCE = (1, 30)


class BuildHandlers:
    """Builds images, step by step."""

    def __init__(self, builder: ClassicBuilder, solved: SolvedBuilds, pruner: CachePruner) -> None:
        self._builder = builder
        self._solved = solved
        self._pruner = pruner

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("POST", "/build", self.build),
            Route("POST", "/build/cancel", self.cancel),
            Route("POST", "/build/prune", self.prune),
        ]

    async def build(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /build. The build ends when its client leaves."""
        options = decode_build(request)
        if options.solved:
            return await self._solved.build(request, options)
        answer = _Answer(request, options)
        output = Output()
        work = asyncio.ensure_future(self._work(request, options, output))
        try:
            async for line in output.lines():
                await answer.send(line)
            await answer.finish(lambda: work)
        finally:
            work.cancel()
            await asyncio.wait((work,))
        return await answer.stream.finish()

    async def _work(self, request: web.BaseRequest, options: BuildOptions, output: Output) -> str:
        try:
            return await self._builder.build(options, incoming.pieces(request), output)
        finally:
            output.end()

    async def cancel(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /build/cancel: a build by BuildKit's rules; others are cancelled by leaving."""
        name = request.query.get("id", "")
        if not name:
            raise InvalidParameter("build ID not provided")
        self._solved.cancel(name)
        return web.Response(status=200)

    async def prune(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /build/prune."""
        try:
            pruned = [usage async for usage in self._pruner.prune(decode_prune(request))]
        except InvalidCacheFilter as error:
            raise UnusablePruneFilters(str(error)) from error
        return reply.json(encode_pruned(pruned))


class _Answer:
    """What the client reads. A quiet build's lines are kept back: it hears the id alone, or all of it when it fails."""

    def __init__(self, request: web.BaseRequest, options: BuildOptions) -> None:
        self.stream = ProgressStream(request)
        self._quiet = options.quiet
        self._with_ids = request["api_version"] >= _AUX_SINCE
        self._kept: list[Line] = []

    async def send(self, line: Line) -> None:
        """Take a line."""
        if isinstance(line, ImageId) and not self._with_ids:
            return
        if self._quiet:
            self._kept.append(line)
        else:
            await self.stream.send(encode_build_line(line))

    async def finish(self, result: Callable[[], Awaitable[str]]) -> None:
        """Tell how it has ended."""
        try:
            image_id = await result()
        except CommandFailed as error:
            await self._fail(error, error.code)
        except WharfError as error:
            await self._fail(error)
        except ConnectionError:
            raise
        except OSError as error:
            log.error("build: %s", error)
            await self._fail(DiskFailed(error))
        else:
            if self._quiet:
                await self.stream.send(encode_build_line(Text(f"{image_id}\n")))

    async def _fail(self, error: WharfError, code: int = 0) -> None:
        for line in self._kept:
            await self.stream.send(encode_build_line(line))
        await self.stream.fail(error, code)
