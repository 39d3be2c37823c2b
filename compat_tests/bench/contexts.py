"""How long build contexts take from the client into a tree: few large files, or many small ones."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from compat_tests.bench.engines import Pair
from compat_tests.clients import imagefiles
from compat_tests.clients.buildx import with_buildx
from compat_tests.clients.daemon import Daemon

_PER_DIRECTORY = 100


@dataclass(frozen=True)
class Context:
    """A context of so many files of that many bytes each, which the engine has never seen whenever it is measured.

    `kept`: what is built is removed at the end of all. Without a journal, ext4 passes by each inode that was deleted in
    the last minutes whenever it makes a file: removing many files would be what the next measurement shows.
    """

    files: int
    size: int
    kept: bool = False

    def prepare(self, daemon: Daemon, pair: Pair) -> None:
        """Write the files."""
        where = self._where(daemon, pair) / "first"
        where.mkdir(parents=True)
        (where / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        content = imagefiles.noise(self.size)
        for number in range(self.files):
            directory = where / str(number // _PER_DIRECTORY)
            directory.mkdir(exist_ok=True)
            (directory / str(number)).write_bytes(content)

    def build(self, daemon: Daemon, pair: Pair) -> float:
        """Seconds from the client's start to the copied tree."""
        cli = with_buildx(daemon.cli)
        # By another name it is another context: engines keep what was sent under the old one.
        (where,) = self._where(daemon, pair).iterdir()
        where = where.rename(where.with_name(str(time.monotonic_ns())))
        began = time.monotonic()
        cli.ok("build", "--quiet", "--no-cache", "--output", "type=cacheonly", str(where), timeout=300)
        took = time.monotonic() - began
        if not self.kept:
            cli.ok("builder", "prune", "--all", "--force", timeout=300)
        return took

    def finish(self, daemon: Daemon, pair: Pair) -> None:
        """Remove the files."""
        with_buildx(daemon.cli).ok("builder", "prune", "--all", "--force", timeout=300)
        shutil.rmtree(self._where(daemon, pair))

    def _where(self, daemon: Daemon, pair: Pair) -> Path:
        return pair.scratch / f"context-{self.files}-{daemon.kind}"


LARGE, SMALL = Context(3, 100_000_000), Context(10_000, 2_000, kept=True)
