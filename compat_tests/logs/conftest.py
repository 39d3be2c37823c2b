"""Collectors, and a way to log to them."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.collector import DatagramCollector, StreamCollector
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.secure_registry import Authority

SCRIPT = "echo out; sleep 0.1; echo err >&2"


@pytest.fixture
def closing_all() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def stream(engine: Daemon, closing_all: ExitStack) -> Callable[..., StreamCollector]:
    """`stream()`: a collector over TCP; `path=`: a Unix socket; `tls=`, `answer=` as of `StreamCollector`."""

    def make(**options: Any) -> StreamCollector:
        return closing_all.enter_context(closing(StreamCollector(engine.namespaces, **options)))

    return make


@pytest.fixture
def datagrams(engine: Daemon, closing_all: ExitStack) -> Callable[..., DatagramCollector]:
    """`datagrams()`: a collector over UDP; `path=`: a Unix socket."""

    def make(**options: Any) -> DatagramCollector:
        return closing_all.enter_context(closing(DatagramCollector(engine.namespaces, **options)))

    return make


@pytest.fixture
def log_run(cli: DockerCli) -> Callable[..., str]:
    """`log_run("syslog", "a=b", script=…)`: a container that logs so, run to its end; its id."""

    def run(driver: str, *options: str, script: str = SCRIPT, extra: tuple[str, ...] = ()) -> str:
        flags = [word for option in options for word in ("--log-opt", option)]
        cid = cli.ok(
            "run", "-d", "--net", "none", "--log-driver", driver, *flags, *extra, "busybox", "sh", "-c", script
        )
        cli.ok("wait", cid)
        return cid

    return run


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("logs") / "authority")


@pytest.fixture(scope="session")
def server_tls(authority: Authority) -> ssl.SSLContext:
    pair = authority.issue("collector", "serverAuth", "127.0.0.1")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pair.certificate, pair.key)
    return made


@pytest.fixture
def socket_path(engine: Daemon) -> Path:
    return engine.state / "collector.sock"
