"""Plain downloads from a URL: what `docker import http://…` asks for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.core.errors import InvalidParameter
from engine.drivers.registry.failures import UnexpectedStatus
from engine.drivers.registry.repository import chunks_of
from engine.drivers.registry.settings import Endpoint
from engine.drivers.registry.transport import Transport


class UnusableURL(InvalidParameter):
    """Neither http nor https."""

    def __init__(self, url: str) -> None:
        super().__init__(f"unusable source {url}")


@asynccontextmanager
async def download(transport: Transport, url: str) -> AsyncIterator[AsyncIterator[bytes]]:
    """Give the bytes behind a URL; without a scheme it is http, as with dockerd. Raises RegistryUnreachable, …"""
    if "://" not in url:
        url = f"http://{url}"
    if not url.startswith(("http://", "https://")):
        raise UnusableURL(url)
    endpoint = Endpoint(url=url, domain="")
    async with await transport.send(endpoint, "GET", url, {}) as response:
        if response.status != 200:
            raise UnexpectedStatus("GET", url, f"{response.status} {response.reason}")
        yield chunks_of(response, 0)
