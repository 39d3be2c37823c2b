"""Blobs and manifests to a registry (OCI distribution specification, "Push")."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin

import aiohttp

from engine.core.errors import WharfError
from engine.core.model.image import Descriptor
from engine.drivers.registry.blob_body import Advance, BlobBody
from engine.drivers.registry.failures import MalformedAnswer
from engine.drivers.registry.repository import Source, unexpected


class Blob(NamedTuple):
    """A blob to send: its file, and what it is."""

    path: Path
    descriptor: Descriptor


async def has_blob(source: Source, digest: str) -> bool:
    """Tell whether the registry has the blob already. Raises UnexpectedStatus, AccessDenied, RegistryUnreachable."""
    async with await source.send("HEAD", f"blobs/{digest}", {}) as response:
        if response.status not in (200, 404):
            raise await unexpected(response, "HEAD")
        return response.status == 200


async def mount(source: Source, digest: str, other: str) -> bool:
    """Ask the registry to take the blob from another of its repositories; tell whether it did."""
    source.authorizer.also(f"repository:{other}:pull")
    async with await source.send("POST", f"blobs/uploads/?mount={digest}&from={other}", {}, b"") as response:
        if response.status == 202:
            await _abandon(source, response)
        return response.status == 201


async def _abandon(source: Source, response: aiohttp.ClientResponse) -> None:
    """A registry that does not mount begins an upload instead, which nobody wants to leave open."""
    try:
        (await source.send("DELETE", _location(response), {})).close()
    except WharfError:
        return


async def begin(source: Source) -> str:
    """Begin an upload; return where it goes. Raises UnexpectedStatus, AccessDenied, RegistryUnreachable."""
    async with await source.send("POST", "blobs/uploads/", {}, b"") as response:
        if response.status != 202:
            raise await unexpected(response, "POST")
        return _location(response)


async def put_blob(source: Source, location: str, blob: Blob, advance: Advance) -> None:
    """Send a blob's file where `begin` said. Raises UnexpectedStatus, AccessDenied, RegistryUnreachable, OSError."""
    path, descriptor = blob
    url = f"{location}{'&' if '?' in location else '?'}digest={descriptor.digest}"
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(descriptor.size)}
    async with await source.send("PUT", url, headers, lambda: BlobBody(path, descriptor.size, advance)) as response:
        if response.status != 201:
            raise await unexpected(response, "PUT")


async def put_manifest(source: Source, tag: str, media_type: str, data: bytes) -> None:
    """Send a manifest or index under a tag or its digest. Raises UnexpectedStatus, AccessDenied, …"""
    async with await source.send("PUT", f"manifests/{tag}", {"Content-Type": media_type}, data) as response:
        if response.status not in (200, 201, 202):
            raise await unexpected(response, "PUT")


def _location(response: aiohttp.ClientResponse) -> str:
    location = response.headers.get("Location", "")
    if not location:
        raise MalformedAnswer(str(response.url), "no Location")
    return urljoin(str(response.url), location)
