"""What is said to a plugin: `POST /Interface.Method` with JSON both ways.

A plugin that cannot be reached is tried again with growing pauses, as one that is just being started; the event loop
goes on meanwhile. Each call has its own connection, so a plugin may be restarted between any two.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from engine.drivers.plugins.discovery import Address, TlsSettings
from engine.drivers.plugins.failures import InvalidAnswer, PluginFailed, PluginRefused, PluginUnreachable

MEDIA_TYPE = "application/vnd.docker.plugins.v1.2+json"
_HEADERS = {"Accept": MEDIA_TYPE, "User-Agent": "Go-http-client/1.1"}
_HOST = "plugin.moby.localhost"
_PAUSES = (1.0, 2.0, 4.0, 8.0)
_TIMEOUT = 120.0
_MAX_ANSWER = 16 << 20
_LONGEST_ADDRESS = 100


class PluginClient:
    """A plugin at an address."""

    def __init__(self, address: Address, timeout: float = _TIMEOUT) -> None:
        """`timeout`: seconds that an answer may take, where a call does not say otherwise."""
        self.address = address
        self._timeout = timeout

    async def call(
        self, method: str, arguments: Mapping[str, Any] | None = None, *, patient: bool = True, timeout: float = 0
    ) -> dict[str, Any]:
        """Return what the plugin answers; a patient caller waits some seconds for one that does not listen yet.

        Raises PluginUnreachable, PluginFailed, InvalidAnswer.
        """
        body = b"" if arguments is None else msgspec.json.encode(arguments) + b"\n"
        status, answer = await self._persist(method, body, patient=patient, timeout=timeout or self._timeout)
        if status != 200:
            raise PluginFailed(method, _reason(answer), status)
        return _decoded(method, answer)

    async def ask(
        self, method: str, arguments: Mapping[str, Any], *, patient: bool = True, timeout: float = 0
    ) -> dict[str, Any]:
        """The same, for protocols whose answers tell of failures in `Err`. Raises PluginRefused as well."""
        answer = await self.call(method, arguments, patient=patient, timeout=timeout)
        reason = answer.get("Err")
        if isinstance(reason, str) and reason:
            raise PluginRefused(reason)
        return answer

    async def _persist(self, method: str, body: bytes, *, patient: bool, timeout: float) -> tuple[int, bytes]:
        pauses = iter(_PAUSES if patient else ())
        while True:
            try:
                return await self._post(method, body, timeout)
            except PluginUnreachable:
                pause = next(pauses, None)
                if pause is None:
                    raise
            await asyncio.sleep(pause)

    async def stream(self, method: str, arguments: Mapping[str, Any]) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of an answer that may last. Raises PluginUnreachable, PluginFailed."""
        body = msgspec.json.encode(arguments) + b"\n"
        async with self._answer(method, body, aiohttp.ClientTimeout(total=None, sock_connect=self._timeout)) as answer:
            if answer.status != 200:
                raise PluginFailed(method, _reason(await _read(method, answer)), answer.status)
            async for piece in answer.content.iter_any():
                yield piece

    async def _post(self, method: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        async with self._answer(method, body, aiohttp.ClientTimeout(total=timeout)) as answer:
            return answer.status, await _read(method, answer)

    @asynccontextmanager
    async def _answer(
        self, method: str, body: bytes, limits: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = f"{self._origin}/{method}"
        try:
            async with (
                self._connector() as connector,
                aiohttp.ClientSession(connector=connector, timeout=limits, headers=_HEADERS) as session,
                session.post(url, data=body, allow_redirects=False) as response,
            ):
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise PluginUnreachable(url, self._explain(error)) from error

    @property
    def _origin(self) -> str:
        if self.address.path is not None:
            return f"http://{_HOST}"
        scheme, _, rest = self.address.url.partition("://")
        secure = scheme == "https" or (scheme == "tcp" and self.address.tls is not None)
        return f"{'https' if secure else 'http'}://{rest.rstrip('/')}"

    @asynccontextmanager
    async def _connector(self) -> AsyncIterator[aiohttp.BaseConnector]:
        path, tls = self.address.path, self.address.tls
        if path is None:
            context = True if tls is None else await asyncio.to_thread(_context, tls)
            yield aiohttp.TCPConnector(ssl=context, force_close=True)
            return
        if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
            yield aiohttp.UnixConnector(str(path), force_close=True)
            return
        # An address of unix(7) holds 108 bytes.
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield aiohttp.UnixConnector(f"/proc/self/fd/{directory}/{path.name}", force_close=True)
        finally:
            os.close(directory)

    def _explain(self, error: Exception) -> str:
        """Say why there was no answer, in the words of Go's net package."""
        where = f"unix {self.address.path}" if self.address.path else f"tcp {self.address.url.partition('://')[2]}"
        if isinstance(error, TimeoutError):
            return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        if isinstance(error, aiohttp.ClientConnectorError):
            return f"dial {where}: connect: {_errno_text(error.os_error)}"
        if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
            return "EOF"
        if isinstance(error, OSError) and error.errno:
            return f"dial {where}: connect: {_errno_text(error)}"
        return str(error) or type(error).__name__


async def listens(path: Path) -> bool:
    """Tell whether somebody accepts connections on a unix socket."""
    return await asyncio.to_thread(_listens, path)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            probe.connect(f"/proc/self/fd/{directory}/{path.name}")
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            os.close(directory)
    return True


async def _read(method: str, response: aiohttp.ClientResponse) -> bytes:
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > _MAX_ANSWER:
            raise InvalidAnswer(method, f"more than {_MAX_ANSWER} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _reason(answer: bytes) -> str:
    """A failed call's answer is JSON with `Err`, or, of old plugins, just text."""
    try:
        value = msgspec.json.decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = None
    reason = value.get("Err") if isinstance(value, dict) else None
    return reason if isinstance(reason, str) and reason else answer.decode(errors="replace")


def _decoded(method: str, answer: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(answer) if answer.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidAnswer(method, str(error)) from error
    if not isinstance(value, dict | None):
        raise InvalidAnswer(method, "no JSON object")
    return value or {}


def _context(tls: TlsSettings) -> ssl.SSLContext:
    """Blocks; call in a thread."""
    context = ssl.create_default_context(cafile=tls.ca_file or None)
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert_file:
        context.load_cert_chain(tls.cert_file, tls.key_file or None)
    return context


def _errno_text(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)
