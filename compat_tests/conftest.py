"""Options, markers and the fixtures that every test shares: one engine per run, its clients, a registry, images."""

import os
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from compat_tests.clients import imagefiles, leaks
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon, DaemonOptions
from compat_tests.clients.namespaces import HostNamespaces, Namespaces, PrivateNamespaces
from compat_tests.clients.oracle import OracleMissing, cli_version, docker_cli
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.registry import Registry, StubRegistry
from compat_tests.clients.terminal import Terminal
from compat_tests.clients.waiting import eventually

_HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("compat")
    group.addoption("--engine", choices=["wharfd", "dockerd"], default="wharfd", help="the engine under test")
    group.addoption(
        "--network",
        choices=["host", "private"],
        help="the engine's network; default: host for wharfd, private for dockerd",
    )
    group.addoption("--daemon-arg", action="append", default=[], help="one more argument for the engine (repeatable)")
    group.addoption("--full", action="store_true", help="the long forms of the load and kill tests")


def pytest_configure(config: pytest.Config) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a run that is ended ends its daemons
    config.addinivalue_line(
        "markers", "difference(name): a deliberate difference from dockerd, listed in DIFFERENCES.md"
    )
    config.addinivalue_line("markers", "wharfd_only(reason): not a question that dockerd can answer")
    config.addinivalue_line("markers", "cli_since(version): an option that older stock CLIs do not have")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    listed = set(re.findall(r"^## `([a-z0-9-]+)`", (_HERE / "DIFFERENCES.md").read_text(), re.MULTILINE))
    for item in items:
        for mark in item.iter_markers("difference"):
            if mark.args[0] not in listed:
                raise pytest.UsageError(f"{item.nodeid}: {mark.args[0]} is not in DIFFERENCES.md")
            if config.getoption("engine") == "dockerd":
                item.add_marker(pytest.mark.xfail(reason=f"differs: {mark.args[0]}", strict=True))
        for mark in item.iter_markers("cli_since"):
            if cli_version() < tuple(map(int, mark.args[0].split("."))):
                item.add_marker(pytest.mark.skip(reason=f"the docker CLI here is older than {mark.args[0]}"))
        for mark in item.iter_markers("wharfd_only"):
            if config.getoption("engine") == "dockerd":
                item.add_marker(pytest.mark.skip(reason=mark.args[0]))


class Suite:
    """Makes daemons for the tests, each with a directory, an address range and a bridge of its own."""

    def __init__(self, config: pytest.Config, scratch: Path) -> None:
        self.kind: str = config.getoption("engine")
        self.scratch = scratch
        self._network = config.getoption("network") or ("host" if self.kind == "wharfd" else "private")
        self._arguments = tuple(config.getoption("daemon_arg"))
        self._count = 0
        # Runs beside each other on one machine must not share addresses or bridges.
        self._octet = 64 + os.getpid() % 128

    def daemon(self, *arguments: str, kind: str = "", network: str = "") -> Daemon:
        """A daemon that is not started yet. Whoever asks closes it."""
        self._count += 1
        kind = kind or self.kind
        # Two engines on one network would fight over dockerd's chains: beside wharfd, dockerd gets its own.
        private = (network or self._network) == "private" or kind == "dockerd"
        namespaces: Namespaces = PrivateNamespaces() if private else HostNamespaces()
        own = self._arguments if kind == self.kind else ()
        options = DaemonOptions(
            kind=kind,
            state=self.scratch / f"{kind[0]}{self._count}",
            bip=f"10.{self._octet}.{self._count}.1/24",
            bridge="" if private else f"wct{os.getpid() % 100000}n{self._count}",
            arguments=(*own, *arguments),
            namespaces=namespaces,
        )
        return Daemon(options)

    @contextmanager
    def killable(self, *arguments: str, network: str = "") -> Iterator[Daemon]:
        """A daemon with `busybox:latest`, which a test may kill."""
        daemon = self.daemon(*arguments, network=network)
        try:
            daemon.start()
            load_busybox(daemon)
            yield daemon
        finally:
            finish(daemon)

    @contextmanager
    def running(self, *arguments: str, network: str = "") -> Iterator[Daemon]:
        """A daemon with `busybox:latest`, for as long as it is needed; it ends by itself."""
        with self.killable(*arguments, network=network) as daemon:
            yield daemon
            daemon.wipe()
            daemon.stop()

    @contextmanager
    def used(self) -> Iterator[Daemon]:
        """A killable daemon that has made what an engine makes at its first container and keeps."""
        with self.killable() as daemon:
            daemon.cli.ok("run", "--rm", "-p", "127.0.0.1::80", "busybox", "true")
            yield daemon


def finish(daemon: Daemon) -> None:
    """Close the daemon and its namespaces."""
    try:
        daemon.close()
    finally:
        daemon.namespaces.close()


@pytest.fixture(scope="session")
def suite(request: pytest.FixtureRequest) -> Iterator[Suite]:
    try:
        docker_cli()
    except OracleMissing as error:
        pytest.skip(str(error))
    scratch = Path(tempfile.mkdtemp(prefix="wct-", dir="/var/tmp"))
    scratch.chmod(0o755)
    yield Suite(request.config, scratch)
    shutil.rmtree(scratch, ignore_errors=True)


@pytest.fixture(scope="session")
def engine(suite: Suite) -> Iterator[Daemon]:
    """The engine under test, with `busybox:latest` in it; after the run nothing of it may be left."""
    try:
        daemon = suite.daemon()
        daemon.start()
    except OracleMissing as error:
        pytest.skip(str(error))
    recorder = IdRecorder(daemon)
    try:
        load_busybox(daemon)
        # What an engine makes at its first container and keeps (tables, chains, parent cgroups) is no leak.
        daemon.cli.ok("run", "--rm", "-p", "127.0.0.1::80", "busybox", "true")
        yield daemon
        recorder.close()
        daemon.wipe()
        daemon.stop()
        _nothing_runs(daemon)
    finally:
        finish(daemon)


def _nothing_runs(daemon: Daemon) -> None:
    """After the end of a daemon without containers, none of its processes and mounts is there."""
    pids = [pid for pid in daemon.strays() if pid != daemon.pid]
    assert not pids, [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids]
    assert not leaks.mounts(daemon)


class IdRecorder:
    """Writes down the id of every container that the engine creates: a leak is what bears one of them."""

    def __init__(self, daemon: Daemon) -> None:
        self._stream = daemon.api.stream(
            "GET", '/events?filters={"type":["container"],"event":["create"]}', timeout=None
        )  # type: ignore[arg-type]
        self._path = daemon.state / "ids"
        self._thread = threading.Thread(target=self._record, daemon=True)
        self._thread.start()

    def _record(self) -> None:
        try:
            for event in self._stream.lines():
                with self._path.open("a") as ids:
                    ids.write(event["Actor"]["ID"] + "\n")
        except (OSError, ValueError, AttributeError):
            return

    def close(self) -> None:
        self._stream.close()
        self._thread.join()


def load_busybox(daemon: Daemon) -> None:
    """Give the engine `busybox:latest`: by `load`, or by `import` where that fails (whose tests will say why)."""
    archive = imagefiles.archive(imagefiles.busybox(), "docker.io/library/busybox:latest")
    if daemon.cli.run("load", stdin=archive).code != 0:
        daemon.cli.ok("import", "-c", 'CMD ["sh"]', "-", "busybox:latest", stdin=imagefiles.busybox().layers[0].tar)


@pytest.fixture(scope="module", autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After the last test of a module, the machine looks as before its first one."""
    engine: Daemon = request.getfixturevalue("engine")
    images = {image["Id"] for image in engine.api.get("/images/json?all=1")}
    before = leaks.footprint(engine)
    yield
    engine.wipe()
    eventually(lambda: _remove_images(engine, images), what="no images but those of before")
    leaks.check(engine, before)


def _remove_images(engine: Daemon, but: set[str]) -> bool:
    """Try to remove all other images, and tell whether they are gone: dockerd does not always do it at once."""
    more = [image["Id"] for image in engine.api.get("/images/json?all=1") if image["Id"] not in but]
    for image in more:
        engine.api.request("DELETE", f"/images/{image}?force=1")
    return not more


@pytest.fixture(autouse=True)
def clean(engine: Daemon, request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test starts and ends without containers and volumes; its part of the daemon's log is shown when it fails."""
    start = engine.log_path.stat().st_size
    yield
    engine.wipe()
    with engine.log_path.open("rb") as log:
        log.seek(start)
        request.node.add_report_section("teardown", "engine log", log.read()[-6000:].decode(errors="replace"))


@pytest.fixture
def cli(engine: Daemon) -> DockerCli:
    return engine.cli


@pytest.fixture
def api(engine: Daemon) -> RawHttp:
    return engine.api


@pytest.fixture
def client(engine: Daemon) -> Iterator[docker.DockerClient]:
    """docker-py."""
    made = docker.DockerClient(base_url=engine.host, version="auto", timeout=60)
    yield made
    made.close()


@pytest.fixture
def terminal(cli: DockerCli) -> Iterator[Callable[..., Terminal]]:
    """`terminal("run", "-it", …)`: the CLI under a pseudo-terminal."""
    opened: list[Terminal] = []

    def open_terminal(*arguments: str, **size: int) -> Terminal:
        opened.append(Terminal(cli.argv(*arguments), cli.environment, **size))
        return opened[-1]

    yield open_terminal
    for each in opened:
        each.close()


@pytest.fixture(scope="session")
def registry(suite: Suite, engine: Daemon) -> Iterator[Registry]:
    """A real registry on the engine's loopback."""
    made = Registry(engine.namespaces, suite.scratch / "registry")
    yield made
    made.close()


@pytest.fixture(scope="session")
def private_registry(suite: Suite, engine: Daemon) -> Iterator[Registry]:
    """A real registry that wants a name and a password."""
    made = Registry(engine.namespaces, suite.scratch / "private-registry", auth=True)
    yield made
    made.close()


@pytest.fixture
def stub_registry(engine: Daemon) -> Iterator[StubRegistry]:
    made = StubRegistry(engine.namespaces)
    yield made
    made.close()


@pytest.fixture
def load(cli: DockerCli) -> Callable[[imagefiles.Image, str], None]:
    """`load(image, "name:tag")` puts an image into the engine."""

    def load_image(image: imagefiles.Image, name: str) -> None:
        cli.ok("load", "-q", stdin=imagefiles.archive(image, f"docker.io/library/{name}"))

    return load_image


@pytest.fixture
def create(api: RawHttp) -> Callable[..., str]:
    """`create("sleep", "60", HostConfig={…})`: a container over the API; its id."""

    def create_container(*command: str, name: str = "", **config: Any) -> str:
        body = {"Image": "busybox", **config}
        if command:
            body["Cmd"] = list(command)
        answer = api.post(f"/containers/create?name={name}" if name else "/containers/create", body)
        assert answer.status == 201, answer
        return str(answer.json()["Id"])

    return create_container


@pytest.fixture
def start(api: RawHttp, create: Callable[..., str]) -> Callable[..., str]:
    """The same, started."""

    def start_container(*command: str, **options: Any) -> str:
        container = create(*command, **options)
        answer = api.post(f"/containers/{container}/start")
        assert answer.status == 204, answer
        return container

    return start_container
