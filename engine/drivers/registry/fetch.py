"""Plain downloads from a URL: what `docker import http://…` asks for."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from engine.core.errors import Internal
from engine.drivers.registry.failures import UnexpectedStatus
from engine.drivers.registry.repository import chunks_of
from engine.drivers.registry.settings import Endpoint
from engine.drivers.registry.transport import Transport


class UnusableURL(Internal):
    """Neither http nor https."""

    def __init__(self, url: str) -> None:
        super().__init__(f'Get "{url}": unsupported protocol scheme "{url.partition(":")[0]}"')


class NotServed(UnexpectedStatus):
    """The server answers, but does not give it."""

    def __init__(self, url: str, status: int, reason: str) -> None:
        super().__init__("GET", url, f"{status} {reason}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Download:
    """An answer: its headers, and its body as it comes."""

    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


@asynccontextmanager
async def download_with(transport: Transport, url: str, headers: Mapping[str, str]) -> AsyncIterator[Download]:
    """Give what is behind an http or https URL. Raises RegistryUnreachable, NotServed, …"""
    if not url.startswith(("http://", "https://")):
        raise UnusableURL(url)
    endpoint = Endpoint(url=url, domain="")
    async with await transport.send(endpoint, "GET", url, dict(headers)) as response:
        if response.status != 200:
            raise NotServed(url, response.status, response.reason or "")
        yield Download(response.headers, chunks_of(response, 0))


@asynccontextmanager
async def download(transport: Transport, url: str) -> AsyncIterator[AsyncIterator[bytes]]:
    """Give the bytes behind a URL; without a scheme it is http, as with dockerd. Raises RegistryUnreachable, …"""
    if "://" not in url:
        url = f"http://{url}"
    async with download_with(transport, url, {}) as found:
        yield found.chunks
