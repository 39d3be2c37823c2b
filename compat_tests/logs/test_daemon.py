"""Logs over the life of the engine: its own settings, its end in the middle of delivery."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from compat_tests.clients.collector import StreamCollector
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import Suite, finish, load_busybox

FOLLOW = "i=0; while true; do echo line-$i; i=$((i+1)); [ $((i % 50)) -eq 0 ] && sleep 0.05; done"


@pytest.fixture
def own(suite: Suite) -> Iterator[Callable[..., Daemon]]:
    """`own(*arguments)`: an engine of the test's own, with busybox."""
    with ExitStack() as stack:

        def make(*arguments: str) -> Daemon:
            daemon = suite.daemon(*arguments)
            stack.callback(finish, daemon)
            daemon.start()
            load_busybox(daemon)
            return daemon

        yield make


def numbers(collector: StreamCollector) -> list[int]:
    return [int(number) for number in re.findall(rb'"short_message":"line-(\d+)"', collector.received)]


def test_the_default_driver_and_its_options(own: Callable[..., Daemon]) -> None:
    daemon = own("--log-driver", "fluentd", "--log-opt", "fluentd-async=true", "--log-opt", "cache-max-size=1m")
    daemon.cli.ok("create", "--name", "aa", "busybox", "true")
    daemon.cli.ok("create", "--name", "bb", "--log-driver", "json-file", "--log-opt", "max-size=1m", "busybox", "true")
    shown = [
        json.loads(daemon.cli.ok("inspect", "-f", "{{json .HostConfig.LogConfig}}", name)) for name in ("aa", "bb")
    ]
    assert shown == [
        {"Type": "fluentd", "Config": {"fluentd-async": "true", "cache-max-size": "1m"}},
        {"Type": "json-file", "Config": {"max-size": "1m", "cache-max-size": "1m"}},
    ]
    assert daemon.cli.ok("info", "-f", "{{.LoggingDriver}}") == "fluentd"
    daemon.cli.ok("start", "aa")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--log-driver", "fluentd", "--log-opt", "foo=x"), "unknown log opt 'foo' for fluentd log driver"),
        (("--log-opt", "mode=x"), "logger: logging mode not supported: x"),
    ],
)
def test_options_that_keep_it_from_starting(suite: Suite, arguments: tuple[str, ...], problem: str) -> None:
    daemon = suite.daemon(*arguments)
    try:
        with pytest.raises(RuntimeError):
            daemon.start()
        assert f"failed to start daemon: failed to set log opts: failed to set log opts: {problem}" in daemon.log()
    finally:
        finish(daemon)


@pytest.mark.wharfd_only("dockerd's containers end with it, or their lines are lost")
def test_killed_in_the_middle_of_delivery(own: Callable[..., Daemon]) -> None:
    daemon = own()
    with closing(StreamCollector(daemon.namespaces)) as collector:
        flags = ("--net", "none", "--log-driver", "gelf", "--log-opt", f"gelf-address=tcp://{collector.address}")
        daemon.cli.ok("run", "-d", "--name", "web", *flags, "busybox", "sh", "-c", FOLLOW)
        for _ in range(3):
            reached = len(numbers(collector))
            eventually(lambda reached=reached: len(numbers(collector)) > reached + 1200)
            daemon.kill()
            daemon.start()
        daemon.cli.ok("stop", "-t", "0", "web")
        last = int(daemon.cli.ok("logs", "--tail", "1", "web").removeprefix("line-"))
        eventually(lambda: last in numbers(collector))
        found = numbers(collector)
    # What was sent in the moment before a kill may come twice, nothing else, and nothing is missing.
    assert sorted(set(found)) == list(range(last + 1))
    assert len(found) - len(set(found)) < 3 * 4000


@pytest.mark.wharfd_only("dockerd has no log of the time without it")
def test_stopped_and_started_again_sends_each_line_once(own: Callable[..., Daemon]) -> None:
    daemon = own()
    with closing(StreamCollector(daemon.namespaces)) as collector:
        flags = ("--net", "none", "--log-driver", "gelf", "--log-opt", f"gelf-address=tcp://{collector.address}")
        script = FOLLOW.replace("while true", "while [ $i -lt 1500 ]")
        daemon.cli.ok("run", "-d", "--name", "web", *flags, "busybox", "sh", "-c", script)
        eventually(lambda: len(numbers(collector)) > 300)
        daemon.restart()
        eventually(lambda: 1499 in numbers(collector), 15)
        assert numbers(collector) == list(range(1500))


@pytest.mark.wharfd_only("dockerd's containers have no log without it")
def test_a_log_that_grew_while_no_daemon_was_there_is_rotated_at_its_start(own: Callable[..., Daemon]) -> None:
    daemon = own()
    flags = ("--net", "none", "--log-opt", "max-size=20k", "--log-opt", "max-file=2")
    script = "while [ ! -e /go ]; do sleep 0.05; done; i=0; "
    script += "while [ $i -lt 20000 ]; do echo line-$i; i=$((i+1)); done; echo done > /done; sleep 60"
    cid = daemon.cli.ok(
        "run",
        "-d",
        "-v",
        f"{daemon.state}/shared:/s",
        *flags,
        "busybox",
        "sh",
        "-c",
        script.replace("/go", "/s/go").replace("/done", "/s/done"),
    )
    daemon.kill()
    (daemon.state / "shared" / "go").touch()
    eventually((daemon.state / "shared" / "done").exists)
    home = daemon.data_root / "containers" / cid
    eventually(lambda: sum(p.stat().st_size for p in home.glob("*.log*")) > 1_000_000)
    daemon.start()
    eventually(lambda: sum(p.stat().st_size for p in home.glob("*.log*")) <= 60_000)
    kept = daemon.cli.ok("logs", cid).splitlines()
    assert kept[-1] == "line-19999"
    assert len(kept) > 200
