"""The job `unpack`: a compressed layer to a tree, its digest computed on the way.

Three threads, since reading, inflating, hashing and writing all leave Python's lock alone: one inflates, one hashes,
this one takes the archive apart.
"""

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence

from engine.drivers.confine.channel import Channel
from engine.drivers.confine.decompress import chunks
from engine.drivers.confine.extract import Extractor
from engine.drivers.confine.failures import ArchiveRefused
from engine.drivers.confine.inherit import Inheritance
from engine.drivers.confine.tar_reader import TarReader
from engine.drivers.confine.tree import Tree

_ON_THE_WAY = 16


class Digester:
    """Hashes what it is given in a thread of its own."""

    def __init__(self) -> None:
        self._channel = Channel(_ON_THE_WAY)
        self._hash = hashlib.sha256()
        self.size = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while piece := self._channel.get():
            self._hash.update(piece)
            self.size += len(piece)

    def update(self, piece: bytes | memoryview) -> None:
        """Take the next bytes."""
        self._channel.put(piece)

    def finish(self) -> str:
        """Return the digest of all bytes taken."""
        self._channel.end()
        self._thread.join()
        return f"sha256:{self._hash.hexdigest()}"


class _Inflater:
    """Hands the uncompressed bytes to the digester and to the reader."""

    def __init__(self, source: int, digester: Digester) -> None:
        # A descriptor of its own: the thread may still read when the caller has closed its own one, and then it would
        # read whatever has that number next.
        self._source = os.dup(source)
        self._pieces: Iterator[bytes | memoryview] = chunks(self._source)
        self._digester = digester
        self.channel = Channel(_ON_THE_WAY)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for piece in self._pieces:
                self._digester.update(piece)
                if not self.channel.put(piece):
                    return
        except (ArchiveRefused, OSError, MemoryError) as error:
            self.channel.end(error)
        else:
            self.channel.end()
        finally:
            os.close(self._source)

    def close(self) -> None:
        """Stop; bytes not read yet are dropped."""
        self.channel.abandon()


def unpack(source: int, root: int, parents: Sequence[int]) -> dict[str, object]:
    """Unpack the archive behind `source` into the tree behind `root`. Raises ArchiveRefused, OSError. Blocks.

    `parents` are the trees below it, the uppermost first. Returns the digest and size of the plain archive, and the
    bytes that the tree takes on the disk.
    """
    digester = Digester()
    inflater = _Inflater(source, digester)
    tree = Tree(root, Inheritance(parents))
    extractor = Extractor(tree)
    try:
        extractor.run(TarReader(inflater.channel.get))
    finally:
        tree.close()
        inflater.close()
        digest = digester.finish()
    return {"diff_id": digest, "archive_size": digester.size, "size": extractor.usage}
