"""Attach and logs: a container's output, live and kept."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus

from aiohttp import web

from engine.api.failure import status_of
from engine.api.handlers.containers.stream_client import RAW, StreamClient, content_type
from engine.api.routing import Route
from engine.api.transport.hijack import hijack, take_over
from engine.api.transport.stdcopy import frame
from engine.api.transport.stream import ByteStream
from engine.api.wire import query
from engine.core.errors import Conflict, WharfError
from engine.core.model.container import Container, Status
from engine.domain.containers.bridge import Wanted
from engine.domain.containers.log_drivers import attributes
from engine.domain.containers.log_files import LogFiles
from engine.domain.containers.streams import Streams, wanted_streams
from engine.domain.containers.table import ContainerTable
from engine.drivers.logs.reader import LogChunk, LogOptions
from engine.drivers.runtime.console import Console


class AttachToPaused(Conflict):
    """A paused container cannot be attached to."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"container {reference} is paused, unpause the container before attach")


class AttachToRestarting(Conflict):
    """A container between two runs has no streams."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"container {reference} is restarting, wait until the container is running")


class StreamHandlers:
    """The routes that deliver a container's output."""

    def __init__(self, table: ContainerTable, streams: Streams, logs: LogFiles) -> None:
        self._table = table
        self._streams = streams
        self._logs = logs

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("POST", "/containers/{name:.*}/attach", self.attach),
            Route("GET", "/containers/{name:.*}/logs", self.logs),
        ]

    async def attach(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /containers/{name}/attach. Refusals come on the hijacked connection, as text (Moby's handler)."""
        try:
            container, wanted, opened = await self._opened(request)
        except WharfError as error:
            return await _refusal(request, error)
        tty = container.config.tty
        connection = await hijack(request, content_type(request["api_version"], tty=tty))
        client = StreamClient(connection, framed=not tty)
        try:
            if query.boolean(request, "logs"):
                await self._replay(container, client, stdout=wanted.stdout, stderr=wanted.stderr)
            if opened is not None:
                await self._streams.attach(container, opened, client, wanted)
        except WharfError as error:
            await client.tell(f"Error attaching: {error}\n")
        finally:
            if opened is not None:
                self._streams.abandon(opened)
            await connection.close()
        return connection.response

    async def _opened(self, request: web.BaseRequest) -> tuple[Container, Wanted, asyncio.Future[Console] | None]:
        """Return what is wanted of which container, and its console where the client wants the stream.

        That is taken before the headers go out: once the client reads them it may start the container.
        """
        container = self._table.get(request["name"])
        wanted = wanted_of(request, container)
        require_attachable(container, request["name"])
        opened = await self._streams.open(container) if query.boolean(request, "stream") else None
        return container, wanted, opened

    async def _replay(self, container: Container, client: StreamClient, *, stdout: bool, stderr: bool) -> None:
        with contextlib.suppress(ConnectionError):
            async for chunk in await self._logs.open(container, LogOptions(stdout=stdout, stderr=stderr)):
                await client.send(chunk.stream, chunk.data)

    async def logs(self, request: web.BaseRequest) -> web.StreamResponse:
        """GET /containers/{name}/logs."""
        container = self._table.get(request["name"])
        options = _log_options(request, container)
        chunks = await self._logs.open(container, options)
        tty = container.config.tty
        version = request["api_version"]
        answer = ByteStream(request, content_type(version, tty=tty) if version >= (1, 42) else RAW)
        if options.follow:
            await answer.begin()
        try:
            last = await _deliver(chunks, answer, at_once=options.follow)
        except (ConnectionError, asyncio.CancelledError):
            await chunks.aclose()
            raise
        return await answer.finish(last)


async def _deliver(chunks: AsyncIterator[LogChunk], answer: ByteStream, *, at_once: bool) -> bytes:
    """Send the chunks. Unless each has to be seen at once, the last one is returned: it goes out with the end."""
    last = b""
    async for chunk in chunks:
        if last:
            await answer.write(last)
        last = chunk.data
        if at_once:
            await answer.write(last)
            last = b""
    return last


async def _refusal(request: web.BaseRequest, error: WharfError) -> web.StreamResponse:
    status = status_of(error)
    connection = await take_over(request, f"{status} {HTTPStatus(status).phrase}\r\nContent-Type: {RAW}")
    connection.response.set_status(status)
    connection.write(f"{error}\r\n".encode())
    await connection.close()
    return connection.response


def wanted_of(request: web.BaseRequest, container: Container) -> Wanted:
    """Return what an attach wants, by its parameters. Raises InvalidDetachKeys."""
    return wanted_streams(
        container,
        stdin=query.boolean(request, "stdin"),
        stdout=query.boolean(request, "stdout"),
        stderr=query.boolean(request, "stderr"),
        keys=query.text(request, "detachKeys"),
    )


def require_attachable(container: Container, reference: str) -> None:
    """Raise AttachToPaused, AttachToRestarting."""
    if container.state.status is Status.PAUSED:
        raise AttachToPaused(reference)
    if container.state.status is Status.RESTARTING:
        raise AttachToRestarting(reference)


def _log_options(request: web.BaseRequest, container: Container) -> LogOptions:
    return LogOptions(
        stdout=query.boolean(request, "stdout"),
        stderr=query.boolean(request, "stderr"),
        since=query.instant(request, "since"),
        until=query.instant(request, "until"),
        timestamps=query.boolean(request, "timestamps"),
        tail=_tail(query.text(request, "tail")),
        follow=query.boolean(request, "follow"),
        details=attributes.details(container) if query.boolean(request, "details") else "",
        frame=None if container.config.tty else frame,
    )


def _tail(text: str) -> int | None:
    """Docker takes anything that is not a number for "all"."""
    return int(text) if text.isdigit() else None
