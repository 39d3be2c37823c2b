"""A daemon of its own for these tests: dockerd never forgets a plugin, and waits for those that are gone."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from compat_tests.clients.daemon import Daemon
from compat_tests.clients.oracle import OracleMissing
from compat_tests.clients.plugin import Plugin, sockets
from compat_tests.conftest import Suite, finish, load_busybox


@pytest.fixture(scope="module")
def engine(suite: Suite) -> Iterator[Daemon]:
    daemon = suite.daemon()
    try:
        try:
            daemon.start()
        except OracleMissing as error:
            pytest.skip(str(error))
        load_busybox(daemon)
        sockets(daemon).mkdir(parents=True, exist_ok=True)
        daemon.cli.ok("run", "--rm", "-p", "127.0.0.1::80", "busybox", "true")
        yield daemon
        daemon.wipe()
        daemon.stop()
    finally:
        finish(daemon)


@pytest.fixture(scope="module")
def keep(engine: Daemon) -> Iterator[Callable[[Plugin], Plugin]]:
    """Starts a plugin, which then answers until the last test of the module."""
    with ExitStack() as plugins:
        yield plugins.enter_context
        engine.wipe()
