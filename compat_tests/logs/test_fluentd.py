"""`--log-driver fluentd`: what arrives."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.collector import StreamCollector
from compat_tests.clients.waiting import eventually

Stream = Callable[..., StreamCollector]
Run = Callable[..., str]
_EVENT = b"\x94"


def events(collector: StreamCollector, count: int) -> list[Any]:
    """Wait for that many events."""

    def found() -> list[Any] | None:
        made = split(collector.received)
        return made if len(made) >= count else None

    return eventually(found) or []


def split(data: bytes) -> list[Any]:
    """Take a stream of messages apart: each ends where it can be decoded. Their last byte is an empty map, or text."""
    made, start = [], 0
    for end in range(1, len(data) + 1):
        if data[end : end + 1] not in (b"", _EVENT):
            continue
        try:
            made.append(msgspec.msgpack.decode(data[start:end]))
        except msgspec.DecodeError:
            continue
        start = end
    return made


def test_events(stream: Stream, log_run: Run) -> None:
    collector = stream()
    before = int(time.time())
    cid = log_run("fluentd", f"fluentd-address={collector.address}", extra=("--name", "web"))
    out, err = events(collector, 2)
    record = {"container_id": cid, "container_name": "/web", "source": "stdout", "log": "out"}
    assert (out[0], out[2], out[3]) == (cid[:12], record, {})
    assert before <= out[1] <= time.time()
    assert err[2] == {**record, "source": "stderr", "log": "err"}


def test_labels_variables_and_tag(stream: Stream, log_run: Run) -> None:
    collector = stream()
    options = ("labels=team", "labels-regex=^ti", "env=FOO,NO", "env-regex=^B", "tag=docker.{{.Name}}.{{.DaemonName}}")
    flags = ("--name", "web", "-l", "team=blue", "-l", "tier=1", "-l", "other=x", "-e", "FOO=1", "-e", "BAR=2")
    log_run("fluentd", f"fluentd-address=tcp://{collector.address}", *options, extra=flags, script="echo x")
    (event,) = events(collector, 1)
    assert event[0] == "docker.web.docker"
    extra = {k: v for k, v in event[2].items() if k not in ("container_id", "container_name", "source", "log")}
    assert extra == {"team": "blue", "tier": "1", "FOO": "1", "BAR": "2"}


def test_fractions_of_seconds(stream: Stream, log_run: Run) -> None:
    collector = stream()
    log_run("fluentd", f"fluentd-address={collector.address}", "fluentd-sub-second-precision=true", script="echo x")
    (event,) = events(collector, 1)
    assert event[1].code == 0
    seconds, nanos = event[1].data[:4], event[1].data[4:]
    assert abs(int.from_bytes(seconds, "big") - time.time()) < 30
    assert int.from_bytes(nanos, "big") < 1_000_000_000


def test_unix_socket(stream: Stream, log_run: Run, socket_path: Path) -> None:
    collector = stream(path=socket_path)
    log_run("fluentd", f"fluentd-address=unix://{socket_path}", script="echo x")
    assert events(collector, 1)[0][2]["log"] == "x"


def test_long_lines_come_in_pieces(stream: Stream, log_run: Run) -> None:
    collector = stream()
    script = "head -c 40000 /dev/zero | tr '\\0' x; echo; echo next"
    log_run("fluentd", f"fluentd-address={collector.address}", script=script)
    found = [event[2] for event in events(collector, 4)]
    assert [len(record["log"]) for record in found] == [16384, 16384, 7232, 4]
    assert [record.get("partial_ordinal") for record in found] == ["1", "2", "3", None]
    assert [record.get("partial_last") for record in found] == ["false", "false", "true", None]
    assert {record["partial_message"] for record in found[:3]} == {"true"}
    assert len({record["partial_id"] for record in found[:3]}) == 1


def test_acknowledgements(stream: Stream, log_run: Run) -> None:
    def answer(data: bytes) -> bytes:
        return msgspec.msgpack.encode({"ack": split(data)[-1][3]["chunk"]})

    collector = stream(answer=answer)
    log_run("fluentd", f"fluentd-address={collector.address}", "fluentd-request-ack=true", script="echo one")
    (event,) = events(collector, 1)
    assert (event[2]["log"], list(event[3])) == ("one", ["chunk"])


def test_without_a_collector_async_starts(cli: DockerCli, log_run: Run) -> None:
    cid = log_run("fluentd", "fluentd-address=127.0.0.1:9", "fluentd-async=true", script="echo kept")
    assert cli.ok("logs", cid) == "kept"


def test_async_delivers_once_the_collector_is_there(cli: DockerCli, stream: Stream) -> None:
    first = stream()
    port = first.port
    first.close()
    options = ("--log-opt", f"fluentd-address=127.0.0.1:{port}", "--log-opt", "fluentd-async=true")
    flags = ("--net", "none", "--log-driver", "fluentd", *options, "--log-opt", "fluentd-retry-wait=100ms")
    cli.ok("run", "-d", "--name", "early", *flags, "busybox", "sh", "-c", "echo early; sleep 60")
    eventually(lambda: cli.ok("logs", "early") == "early")
    collector = stream(port=port)
    assert events(collector, 1)[0][2]["log"] == "early"


@pytest.mark.parametrize("network", ["tcp", "tls"])
def test_without_a_collector_the_start_fails(cli: DockerCli, network: str) -> None:
    address = f"fluentd-address={network}://127.0.0.1:9"
    cid = cli.ok("create", "--net", "none", "--log-driver", "fluentd", "--log-opt", address, "busybox", "true")
    problem = "failed to initialize logging driver: dial tcp 127.0.0.1:9: connect: connection refused"
    assert f"failed to create task for container: {problem}" in cli.fails("start", cid)
    assert cli.ok("inspect", "-f", "{{.State.Status}}", cid) == "created"
