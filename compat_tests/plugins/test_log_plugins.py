"""Log drivers of plugins: containers write, plugins are sent messages, and `docker logs` shows them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.log_plugin import READ, START, STOP, LogPlugin
from compat_tests.clients.plugin import Plugin, sockets, unused_name
from compat_tests.clients.rawhttp import RawHttp
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import Suite, finish
from compat_tests.plugins.managed import TAR, archive, config

Keep = Callable[[Plugin], Plugin]
WAIT = "while [ ! -e /go ]; do sleep 0.05; done; "
ZERO = "0001-01-01T00:00:00Z"


def _driver(engine: Daemon, keep: Keep, *, reads: bool) -> LogPlugin:
    plugin = LogPlugin(sockets(engine) / f"{unused_name('log')}.sock", reads=reads)
    keep(plugin)
    return plugin


@pytest.fixture
def driver(engine: Daemon, keep: Keep) -> Iterator[LogPlugin]:
    """One that keeps nothing."""
    plugin = _driver(engine, keep, reads=False)
    yield plugin
    engine.wipe()
    _nothing_is_left(plugin)


@pytest.fixture
def reader(engine: Daemon, keep: Keep) -> Iterator[LogPlugin]:
    """One that gives logs back."""
    plugin = _driver(engine, keep, reads=True)
    yield plugin
    engine.wipe()
    _nothing_is_left(plugin)


def _nothing_is_left(plugin: LogPlugin) -> None:
    """Each FIFO of a run that began has been ended, once, and is gone."""
    begun = sorted(plugin.containers)
    eventually(lambda: sorted(body["File"] for body in plugin.bodies(STOP)) == begun, what="each log is ended")
    eventually(lambda: not any(Path(file).exists() for file in begun), what="no FIFO is left")
    eventually(lambda: plugin.ended == set(begun), what="the other end of each is closed")


@pytest.fixture
def own(suite: Suite) -> Iterator[Daemon]:
    """A daemon that may be killed."""
    with suite.killable("--live-restore") as daemon:
        yield daemon


@pytest.fixture
def keep_here() -> Iterator[Keep]:
    with ExitStack() as plugins:
        yield plugins.enter_context


@pytest.fixture
def managed(engine: Daemon) -> Iterator[str]:
    """A log driver that the engine runs, enabled."""
    name = "test/logger"
    body = archive(config(interface={"types": ["docker.logdriver/1.0"], "socket": "test.sock"}), name)
    assert engine.api.request("POST", f"/plugins/create?name={name}", body, TAR).status == 204
    engine.cli.ok("plugin", "enable", name)
    yield name
    engine.wipe()
    engine.cli.ok("plugin", "rm", "-f", name)


def run(cli: DockerCli, plugin: LogPlugin, script: str, *flags: str) -> str:
    """A container that logs to a plugin; its id."""
    return cli.ok("run", "-d", "--net", "none", "--log-driver", plugin.name, *flags, "busybox", "sh", "-c", script)


def test_the_plugin_is_told_of_the_container(cli: DockerCli, api: RawHttp, driver: LogPlugin) -> None:
    flags = ("--log-opt", "colour=red", "--log-opt", "mode=non-blocking", "--name", "web", "-l", "a=b", "-e", "Q=1")
    cid = run(cli, driver, "echo one", *flags)
    cli.ok("wait", cid)
    [told] = driver.bodies(START)
    shown = api.get(f"/containers/{cid}/json")
    assert told["File"].startswith("/run/docker/logging/")
    assert told["Info"] == {
        "Config": {"colour": "red", "mode": "non-blocking"},
        "ContainerID": cid,
        "ContainerName": "/web",
        "ContainerEntrypoint": "sh",
        "ContainerArgs": ["-c", "echo one"],
        "ContainerImageID": shown["Image"],
        "ContainerImageName": "busybox",
        "ContainerCreated": shown["Created"],
        "ContainerEnv": shown["Config"]["Env"],
        "ContainerLabels": {"a": "b"},
        "LogPath": "",
        "DaemonName": "docker",
    }
    assert shown["HostConfig"]["LogConfig"] == {"Type": driver.name, "Config": told["Info"]["Config"]}
    assert shown["LogPath"] == ""


def test_each_line_is_a_message(cli: DockerCli, driver: LogPlugin) -> None:
    script = "echo one; sleep 0.2; echo two >&2; sleep 0.2; head -c 20000 /dev/zero | tr '\\0' x; echo; printf end"
    cid = run(cli, driver, script)
    assert driver.lines(cid, 5) == [b"one", b"two", b"x" * 16384, b"x" * 3616, b"end"]
    one, two, first, second, end = driver.entries[cid]
    assert (one.source, one.partial, one.piece) == ("stdout", False, None)
    assert (two.source, two.partial, two.piece) == ("stderr", False, None)
    assert first.piece and second.piece and end.piece
    assert (first.partial, first.piece[1:], second.piece[1:]) == (True, (1, False), (2, True))
    assert first.piece[0] == second.piece[0] != end.piece[0]
    assert end.piece[1:] == (1, False)  # a line without an end
    assert first.time == second.time
    assert [e.time for e in driver.entries[cid]] == sorted(e.time for e in driver.entries[cid])


def test_each_run_has_a_log_of_its_own(cli: DockerCli, driver: LogPlugin) -> None:
    cid = run(cli, driver, "echo again")
    cli.ok("wait", cid)
    eventually(lambda: len(driver.ended) == 1)
    cli.ok("start", "-a", cid)
    assert driver.lines(cid, 2) == [b"again", b"again"]
    assert len({body["File"] for body in driver.bodies(START)}) == 2


def test_logs_of_a_plugin_that_keeps_nothing(cli: DockerCli, driver: LogPlugin) -> None:
    cid = run(cli, driver, f"echo one; echo err >&2; {WAIT} echo two")
    assert driver.lines(cid, 2)
    assert cli.run("logs", cid).err == "err\n"
    assert cli.run("logs", "--tail", "5", cid).out == "one\n"
    with cli.spawn("logs", "-f", cid) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"one\n"
        cli.ok("exec", cid, "touch", "/go")
        assert process.stdout.read() == b"two\n"
    assert READ not in driver.methods()


def test_without_a_cache_there_is_nothing_to_read(cli: DockerCli, driver: LogPlugin) -> None:
    cid = run(cli, driver, "echo one", "--log-opt", "cache-disabled=true")
    assert driver.lines(cid, 1) == [b"one"]
    assert cli.fails("logs", cid) == "Error response from daemon: configured logging driver does not support reading"


def test_logs_of_a_plugin_that_gives_them_back(cli: DockerCli, reader: LogPlugin) -> None:
    cid = run(cli, reader, "echo one; echo err >&2; sleep 0.1; echo two")
    reader.lines(cid, 3)
    cli.ok("wait", cid)
    logs = cli.run("logs", "--details", cid)
    assert (logs.out, logs.err) == (" one\n two\n", " err\n")
    [asked] = reader.bodies(READ)
    assert asked["Config"] == {"Since": ZERO, "Until": ZERO, "Tail": -1, "Follow": False}
    assert asked["Info"] == reader.bodies(START)[0]["Info"]
    assert cli.run("logs", "--tail", "1", cid).out == "two\n"
    stamps = [line.split()[0] for line in cli.run("logs", "-t", cid).out.splitlines()]
    assert len(stamps) == 2
    assert cli.run("logs", "--since", stamps[1], cid).out == "two\n"
    assert cli.run("logs", "--until", stamps[0], cid).out == "one\n"
    _, tail, _, since, until = (body["Config"] for body in reader.bodies(READ))
    assert tail["Tail"] == 1
    asked_for = [instant.rstrip("0Z") for instant in (until["Until"], since["Since"])]
    assert asked_for == [stamp.rstrip("0Z") for stamp in stamps]


def test_follow_what_a_plugin_gives_back(cli: DockerCli, reader: LogPlugin) -> None:
    cid = run(cli, reader, f"echo one; {WAIT} echo two")
    with cli.spawn("logs", "-f", cid) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"one\n"
        cli.ok("exec", cid, "touch", "/go")
        assert process.stdout.read() == b"two\n"
    assert reader.bodies(READ)[0]["Config"]["Follow"] is True


def test_a_plugin_that_cannot_give_a_log_back(cli: DockerCli, reader: LogPlugin) -> None:
    cid = run(cli, reader, "echo one")
    cli.ok("wait", cid)
    for reply, said in (
        ((500, b'{"Err":"no logs"}'), f"error getting log reader: {READ}: no logs"),
        ((200, b"\0\0\0\x05abc"), "error decoding log message: unexpected EOF"),
    ):
        reader.handlers[READ] = lambda _, reply=reply: reply  # type: ignore[misc]
        assert f"Error grabbing logs: {said}" in cli.fails("logs", cid)


def test_failures_at_the_start(cli: DockerCli, driver: LogPlugin) -> None:
    cid = cli.ok("create", "--net", "none", "--log-driver", driver.name, "busybox", "true")
    start = "failed to create task for container: failed to initialize logging driver: error creating logger: "
    for reply, said in (({"Err": "not you"}, "not you"), ((500, b'{"Err":"nor you"}'), f"{START}: nor you")):
        driver.handlers[START] = lambda _, reply=reply: reply  # type: ignore[misc]
        assert f"Error response from daemon: {start}{said}\n" in cli.fails("start", cid)
    driver.reset()
    cli.ok("start", "-a", cid)


def test_drivers_that_cannot_be_used(api: RawHttp, driver: LogPlugin) -> None:
    def refusal(**config: Any) -> str:
        answer = api.post("/containers/create", {"Image": "busybox", "HostConfig": {"LogConfig": config}})
        assert answer.status == 400, answer
        return str(answer.json()["message"])

    assert refusal(Type="nosuch") == 'error looking up logging plugin nosuch: plugin "nosuch" not found'
    assert refusal(Type=driver.name, Config={"mode": "x"}) == "logger: logging mode not supported: x"
    wrong = {"cache-disabled": "x"}
    assert refusal(Type=driver.name, Config=wrong) == "invalid value for option cache-disabled: x"


def test_a_default_driver_with_options_is_looked_up_at_the_start(suite: Suite) -> None:
    """Without options it is first looked up for a container."""
    daemon = suite.daemon("--log-driver", "nosuch", "--log-opt", "a=b")
    try:
        with pytest.raises(RuntimeError, match="ended at start"):
            daemon.start()
        reason = 'error looking up logging plugin nosuch: plugin "nosuch" not found'
        assert f"failed to set log opts: failed to set log opts: {reason}" in daemon.log().replace("\\", "")
    finally:
        finish(daemon)


@pytest.mark.difference("no-lost-log-lines")
def test_a_plugin_that_does_not_read_holds_up_nobody(cli: DockerCli, driver: LogPlugin) -> None:
    driver.handlers[START] = lambda _: {"Err": ""}
    run(cli, driver, "i=0; while [ $i -lt 20000 ]; do echo line-$i; i=$((i+1)); done", "--name", "web")
    assert cli.run("wait", "web", timeout=20).out == "0\n"
    assert cli.ok("logs", "--tail", "1", "web") == "line-19999"


@pytest.mark.difference("no-lost-log-lines")
def test_a_plugin_that_starts_again_is_told_again(cli: DockerCli, driver: LogPlugin) -> None:
    cid = run(cli, driver, f"echo one; {WAIT} echo two; {WAIT.replace('/go', '/on')} echo three")
    driver.lines(cid, 1)
    driver.breaks_off = True
    cli.ok("exec", cid, "touch", "/go")
    driver.lines(cid, 2)
    driver.breaks_off = False
    cli.ok("exec", cid, "touch", "/on")
    assert driver.lines(cid, 3) == [b"one", b"two", b"three"]
    assert len(driver.bodies(START)) == 2


@pytest.mark.wharfd_only("dockerd's containers end with it, or their lines are lost")
def test_the_daemon_starts_again(own: Daemon, keep_here: Keep) -> None:
    plugin = _driver(own, keep_here, reads=False)
    cid = run(own.cli, plugin, f"echo one; {WAIT} echo two")
    plugin.lines(cid, 1)
    own.kill()
    eventually(lambda: len(plugin.ended) == 1, what="the FIFO's other end is closed")
    own.start()
    own.cli.ok("exec", cid, "touch", "/go")
    assert plugin.lines(cid, 2) == [b"one", b"two"]
    own.cli.ok("wait", cid)
    assert own.cli.run("logs", "--tail", "1", cid).out == "two\n"
    last = plugin.bodies(START)[1]["File"]
    eventually(lambda: {body["File"] for body in plugin.bodies(STOP)} == {last})
    eventually(lambda: not any(Path(file).exists() for file in plugin.containers))


def test_managed(cli: DockerCli, api: RawHttp, managed: str) -> None:
    cid = cli.ok("run", "-d", "--net", "none", "--log-driver", managed, "busybox", "sh", "-c", f"echo one; {WAIT}")
    eventually(lambda: cli.run("logs", cid).out == "one")
    assert cli.fails("plugin", "disable", managed) == f"Error response from daemon: plugin {managed}:latest is in use"
    cli.ok("exec", cid, "touch", "/go")
    cli.ok("wait", cid)
    eventually(lambda: cli.run("plugin", "disable", managed).code == 0)
    answer = api.post("/containers/create", {"Image": "busybox", "HostConfig": {"LogConfig": {"Type": managed}}})
    assert answer.status == 400
    assert answer.json()["message"] == f"error looking up logging plugin {managed}: plugin {managed} found but disabled"
