"""All parts of images put together over temporary directories, with an extractor that needs no root."""

import asyncio
import hashlib
import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

from engine.core import references
from engine.domain.events.bus import EventBus
from engine.domain.images.announce import Announcer
from engine.domain.images.catalog import Catalog
from engine.domain.images.delete import Deleter
from engine.domain.images.downloads import Downloader
from engine.domain.images.garbage import Garbage
from engine.domain.images.images import Images
from engine.domain.images.load import Loader
from engine.domain.images.prune import Pruner
from engine.domain.images.pull import Puller, PullOptions, Stores
from engine.domain.images.save import Saver
from engine.domain.images.selection import Lister
from engine.domain.images.sizes import Sizer
from engine.domain.images.tag import Tagger
from engine.domain.images.unpack import Unpacker
from engine.drivers.confine.confine import Unpacked
from engine.drivers.registry.credentials import ANONYMOUS
from engine.drivers.registry.settings import RegistrySettings
from engine.drivers.registry.transport import Transport
from engine.drivers.storage.content import ContentStore
from engine.drivers.storage.inflate import Inflater
from engine.drivers.storage.layers import LayerStore
from engine.state.store import Store


class FakeExtractor:
    """Unpacks with tarfile, in this process."""

    def __init__(self) -> None:
        self.count = 0

    async def unpack(self, source: Path, compression: str, target: Path, parents: Sequence[Path]) -> Unpacked:
        self.count += 1
        return await asyncio.to_thread(self._unpack, source, compression, target)

    def _unpack(self, source: Path, compression: str, target: Path) -> Unpacked:
        data = source.read_bytes()
        if compression:
            data = Inflater(compression).feed(data)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            # The filter came with Python 3.11.4; this is our own archive.
            archive.extractall(target, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        return Unpacked(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data), len(data))


class World:
    """One daemon's images."""

    def __init__(self, root: Path, settings: RegistrySettings | None = None) -> None:
        self.root = root
        self.store = Store(root / "state.db")
        self.bus = EventBus(self.store)
        self.content = ContentStore(root / "content")
        self.content.open()
        self.layers = LayerStore(root / "layers")
        self.layers.clean()
        self.catalog = Catalog(self.store)
        self.garbage = Garbage(self.catalog, self.content, self.layers)
        self.extractor = FakeExtractor()
        self.unpacker = Unpacker(self.content, self.layers, self.extractor)
        self.images = Images(self.catalog, self.garbage, self.unpacker)
        self.transport = Transport(settings or RegistrySettings())
        self.downloader = Downloader(self.content)
        self.announcer = Announcer(self.bus)
        self.stores = Stores(self.catalog, self.content, self.garbage, self.unpacker)
        self.puller = Puller(self.stores, self.transport, self.downloader, self.announcer)
        self.loader = Loader(self.stores, self.announcer)
        self.saver = Saver(self.catalog, self.images, self.content, self.announcer)
        self.tagger = Tagger(self.catalog, self.images, self.announcer)
        self.running: set[str] = set()
        self.deleter = Deleter(
            self.catalog, self.images, self.garbage, self.announcer, lambda holder: holder in self.running
        )
        self.pruner = Pruner(self.catalog, self.images, self.garbage, self.announcer)
        self.lister = Lister(self.catalog, self.images, Sizer(self.content, self.layers))
        self.lines: list[object] = []

    async def sink(self, line: object) -> None:
        """Collect a line."""
        self.lines.append(line)

    async def pull(self, name: str, credentials=ANONYMOUS, platform: str = "") -> None:
        """Pull."""
        await self.puller.pull(PullOptions(references.parse(name), platform, credentials), self.sink)

    async def load(self, archive: bytes) -> None:
        """Load."""

        async def chunks():
            for i in range(0, len(archive), 1000):
                yield archive[i : i + 1000]

        await self.loader.load(chunks(), self.sink)

    async def save(self, *names: str) -> bytes:
        """Save."""
        return b"".join([chunk async for chunk in self.saver.save(self.saver.choose(names), self.garbage)])

    def files(self) -> list[str]:
        """Return what lies around: blobs, partial blobs, layers."""
        found = [p for p in (self.root / "content").rglob("*") if p.is_file()]
        return [p.name for p in found] + [p.name for p in (self.root / "layers").iterdir()]

    async def close(self) -> None:
        """Stop everything."""
        for part in (self.downloader, self.unpacker, self.garbage, self.images, self.transport, self.bus):
            await part.close()
        await asyncio.to_thread(self.store.close)
        await asyncio.to_thread(self.content.close)
