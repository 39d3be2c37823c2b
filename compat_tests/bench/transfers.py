"""How long images take from and to registries and archives."""

import shutil
import subprocess
import time
from dataclasses import dataclass

from compat_tests.bench.engines import Pair
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.registry import Registry

LARGE, SMALL = "large", "small"
_TIMEOUT = 300


@dataclass(frozen=True)
class Transfers:
    """Of one of the images in workload.IMAGES. What measures returns seconds; `keep` and `drop` go around save and push."""

    image: str

    def keep(self, daemon: Daemon, pair: Pair) -> None:
        daemon.cli.ok("load", "-q", "-i", str(pair.archive(self.image)), timeout=_TIMEOUT)

    def drop(self, daemon: Daemon, pair: Pair) -> None:
        del pair
        daemon.cli.ok("rmi", self._name)

    def pull(self, daemon: Daemon, pair: Pair) -> float:
        took = _timed(daemon, "pull", "-q", pair.pulled[self.image])
        daemon.cli.ok("rmi", pair.pulled[self.image])
        return took

    def load(self, daemon: Daemon, pair: Pair) -> float:
        took = _timed(daemon, "load", "-q", "-i", str(pair.archive(self.image)))
        self.drop(daemon, pair)
        return took

    def save(self, daemon: Daemon, pair: Pair) -> float:
        began, size = time.monotonic(), 0
        command = daemon.cli.argv("save", self._name)
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=daemon.cli.environment) as process:
            assert process.stdout is not None
            while data := process.stdout.read(1 << 20):
                size += len(data)
        took = time.monotonic() - began
        assert process.returncode == 0
        assert size >= pair.archive(self.image).stat().st_size * 0.99, size
        return took

    def push(self, daemon: Daemon, pair: Pair) -> float:
        """To a registry that is empty, and at an address of which no image is known to have come."""
        root = pair.scratch / f"push-{time.monotonic_ns()}"
        registry = Registry(daemon.namespaces, root)
        name = f"{registry.address}/bench/pushed:1"
        try:
            daemon.cli.ok("tag", self._name, name)
            return _timed(daemon, "push", "-q", name)
        finally:
            daemon.cli.ok("rmi", name)
            registry.close()
            shutil.rmtree(root)

    @property
    def _name(self) -> str:
        return f"bench/{self.image}:1"


def _timed(daemon: Daemon, *arguments: str) -> float:
    began = time.monotonic()
    daemon.cli.ok(*arguments, timeout=_TIMEOUT)
    return time.monotonic() - began
