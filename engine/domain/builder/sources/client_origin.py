"""Images on the client's disk, in a layout of OCI: which one is meant, and its content by way of the session."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from engine.core import references
from engine.core.model.image import Descriptor
from engine.core.references import Reference
from engine.domain.builder.session import ClientStore
from engine.domain.images.failures import MalformedImage
from engine.drivers.storage.content import READ_LIMIT

SCHEME = "oci-layout"


@dataclass(frozen=True, slots=True)
class Layout:
    """An image in a layout: a name for people, with the digest that counts; which store of which client has it."""

    reference: Reference
    store: str
    session: str = ""

    @property
    def store_id(self) -> str:
        """How the client knows the store."""
        return f"oci:{self.store}"

    @property
    def identifier(self) -> str:
        """What a graph has of it."""
        return f"{SCHEME}://{self.reference}"

    @property
    def attrs(self) -> Mapping[str, str]:
        """What a graph has of it, too."""
        return {"oci.store": self.store, "oci.session": self.session}


def layout_of(identifier: str, attrs: Mapping[str, str]) -> Layout:
    """Return what a graph means. Raises InvalidReference."""
    reference = references.parse(identifier.removeprefix(f"{SCHEME}://"))
    return Layout(reference, attrs.get("oci.store", ""), attrs.get("oci.session", ""))


class ClientOrigin:
    """A client's store as the origin of images (see `Origin`)."""

    name = ""

    def __init__(self, store: ClientStore) -> None:
        self._store = store

    async def manifest(self, descriptor: Descriptor) -> bytes:
        """Return a document. Raises MalformedImage, NotFound, Internal."""
        data = b""
        async with aclosing(self._store.read(descriptor.digest)) as chunks:
            async for chunk in chunks:
                data += chunk
                if len(data) > READ_LIMIT:
                    raise MalformedImage(f"content {descriptor.digest} is larger than {READ_LIMIT} bytes")
        return data

    document = manifest

    @asynccontextmanager
    async def blob(self, descriptor: Descriptor, offset: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give a blob's bytes. Raises NotFound, Internal."""
        async with aclosing(self._store.read(descriptor.digest, offset)) as chunks:
            yield chunks
