"""How long `docker cp` takes for one large file, into a running container and out of it."""

import random
import shutil
import time
from pathlib import Path

from compat_tests.bench import workload
from compat_tests.bench.engines import Pair
from compat_tests.clients.daemon import Daemon

_BYTES = 200_000_000
_NAME = "bench-copies"


def prepare(daemon: Daemon, pair: Pair) -> None:
    """A container that runs, with the file in it; and the file outside."""
    source = _source(pair)
    if not source.exists():
        source.write_bytes(random.Random(7).randbytes(_BYTES))
    daemon.cli.ok("run", "-d", "--name", _NAME, "busybox", "sleep", "3000")
    daemon.cli.ok("cp", str(source), f"{_NAME}:/data")


def finish(daemon: Daemon, pair: Pair) -> None:
    """Remove the container."""
    del pair
    workload.remove(daemon, _NAME)


def into(daemon: Daemon, pair: Pair) -> float:
    """Seconds to put the file in, where no other is."""
    daemon.cli.ok("exec", _NAME, "rm", "-f", "/new")
    began = time.monotonic()
    daemon.cli.ok("cp", str(_source(pair)), f"{_NAME}:/new", timeout=120)
    return time.monotonic() - began


def out(daemon: Daemon, pair: Pair) -> float:
    """Seconds to take it out, into a new directory."""
    target = pair.scratch / "copied"
    target.mkdir()
    began = time.monotonic()
    daemon.cli.ok("cp", f"{_NAME}:/data", str(target), timeout=120)
    took = time.monotonic() - began
    assert (target / "data").stat().st_size == _BYTES
    shutil.rmtree(target)
    return took


def _source(pair: Pair) -> Path:
    return pair.scratch / "copies"
