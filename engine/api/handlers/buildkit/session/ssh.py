"""The client's SSH agents at unix sockets of ours: each connection there is a stream to the client's agent."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from engine.api.transport.h2_client import H2Client
from engine.api.transport.h2_exchange import H2Exchange
from engine.api.transport.rpc import Code, RpcError
from engine.core.errors import NotFound
from engine.domain.builder.protocol.messages import service
from engine.domain.builder.protocol.messages import ssh as messages

_SSH = service("moby.sshforward.v1.SSH")
CHECK = _SSH["CheckAgent"]
_FORWARD = _SSH["ForwardAgent"]
_CHUNK = 32 << 10


class AgentMissing(NotFound):
    """The client has no agent of that name."""


@contextlib.asynccontextmanager
async def forwarded(client: H2Client, agent_id: str, path: Path) -> AsyncIterator[None]:
    """Serve an agent at a socket. Raises AgentMissing, RpcError, OSError."""
    agent_id = agent_id or "default"
    try:
        await client.call(CHECK, messages.CheckAgentRequest(ID=agent_id))
    except RpcError as error:
        raise AgentMissing(error.message) from error

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(RpcError, ConnectionError):
            async with client.exchange(_FORWARD, [("buildkit.ssh.id", agent_id)]) as exchange:
                await _copy(exchange, reader, writer)
        writer.close()

    server = await asyncio.start_unix_server(connected, sock=await asyncio.to_thread(_listening, path))
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


def _listening(path: Path) -> socket.socket:
    """Return a socket that listens at a path, which may be longer than a socket's address. Blocks, briefly."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        made = socket.socket(socket.AF_UNIX)
        made.bind(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)
    return made


async def _copy(exchange: H2Exchange, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async def upwards() -> None:
        while data := await reader.read(_CHUNK):
            await exchange.send(messages.BytesMessage(data=data))
        await exchange.end()

    async def downwards() -> None:
        while message := await exchange.receive():
            writer.write(message.data)
            await writer.drain()

    tasks = [asyncio.ensure_future(upwards()), asyncio.ensure_future(downwards())]
    try:
        # A command that has what it wants closes its side; the agent answers until then.
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, RpcError) and result.code != Code.CANCELLED:
            raise result
