"""The two engines that are measured, in one network namespace of their own, on one file system."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from compat_tests.bench.workload import IMAGES
from compat_tests.clients import imagefiles
from compat_tests.clients.daemon import Daemon, DaemonOptions
from compat_tests.clients.namespaces import HostNamespaces, Namespaces, PrivateNamespaces
from compat_tests.clients.registry import Registry


@dataclass(frozen=True)
class Pair:
    """Ours and theirs, and the images of workload.IMAGES: at a registry (`pulled`) and as archives below `scratch`."""

    ours: Daemon
    theirs: Daemon
    registry: Registry
    pulled: dict[str, str]
    scratch: Path

    def archive(self, image: str) -> Path:
        return self.scratch / f"{image}.tar"


@dataclass(frozen=True)
class PairOptions:
    """`megabytes`: the size of the image of large files as downloaded; 0 leaves images out. `ours`: more arguments for wharfd."""

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
        made = Pair(daemons[0], daemons[1], registry, {}, scratch)
        for name, build in IMAGES.items() if options.megabytes else ():
            image = build(options.megabytes)
            made.pulled[name] = registry.push(image, f"bench/{name}", "1") + ":1"
            made.archive(name).write_bytes(imagefiles.archive(image, f"docker.io/bench/{name}:1"))
        yield made
    finally:
        if registry:
            registry.close()
        for daemon in daemons:
            daemon.close()
        namespaces.close()
        shutil.rmtree(scratch, ignore_errors=True)
