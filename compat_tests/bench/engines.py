"""The two engines that are measured, in one network namespace of their own, on one file system."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from compat_tests.bench.workload import big_image
from compat_tests.clients import imagefiles
from compat_tests.clients.daemon import Daemon, DaemonOptions
from compat_tests.clients.namespaces import HostNamespaces, Namespaces, PrivateNamespaces
from compat_tests.clients.registry import Registry


@dataclass(frozen=True)
class Pair:
    """Ours and theirs, and a registry that holds the big image as `BIG`."""

    ours: Daemon
    theirs: Daemon
    registry: Registry
    big: str
    archive: Path
    scratch: Path


@dataclass(frozen=True)
class PairOptions:
    """`megabytes`: the big image's size as downloaded; 0 leaves it out. `ours`: more arguments for wharfd."""

    directory: str
    megabytes: int
    host_network: bool
    ours: tuple[str, ...] = ()


@contextmanager
def pair(options: PairOptions) -> Iterator[Pair]:
    """Start both; at the end nothing of them is left."""
    scratch = Path(tempfile.mkdtemp(prefix="wbench-", dir=options.directory))
    scratch.chmod(0o755)
    namespaces: Namespaces = HostNamespaces() if options.host_network else PrivateNamespaces()
    kinds = (("wharfd", "10.214.1.1/24", "wbench0", options.ours), ("dockerd", "10.214.2.1/24", "", ()))
    daemons = [
        Daemon(DaemonOptions(kind, scratch / kind[0], bip, bridge, arguments, namespaces))
        for kind, bip, bridge, arguments in kinds
    ]
    registry: Registry | None = None
    try:
        for daemon in daemons:
            daemon.start()
            daemon.cli.ok("load", stdin=imagefiles.archive(imagefiles.busybox(), "docker.io/library/busybox:latest"))
        registry = Registry(namespaces, scratch / "registry")
        big, archive = "", scratch / "big.tar"
        if options.megabytes:
            image = big_image(options.megabytes)
            big = registry.push(image, "bench/big", "1") + ":1"
            archive.write_bytes(imagefiles.archive(image, "docker.io/bench/loaded:1"))
        yield Pair(daemons[0], daemons[1], registry, big, archive, scratch)
    finally:
        if registry:
            registry.close()
        for daemon in daemons:
            daemon.close()
        namespaces.close()
        shutil.rmtree(scratch, ignore_errors=True)
