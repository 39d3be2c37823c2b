"""`--log-driver gelf`: what arrives."""

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.collector import DatagramCollector, StreamCollector
from compat_tests.clients.waiting import eventually

Run = Callable[..., str]


def test_tcp(cli: DockerCli, stream: Callable[..., StreamCollector], log_run: Run) -> None:
    collector = stream()
    flags = ("--name", "web", "-l", "team=<blue>", "-e", "FOO=1")
    options = ("labels=team", "env=FOO", "tag={{.Name}}")
    cid = log_run("gelf", f"gelf-address=tcp://{collector.address}", *options, extra=flags)
    out, err = (json.loads(message) for message in collector.lines(2, b"\0"))
    shown = json.loads(cli.ok("inspect", cid))[0]
    assert out.pop("timestamp") <= err["timestamp"]
    assert out.pop("host")
    assert out == {
        "version": "1.1",
        "short_message": "out",
        "level": 6,
        "_container_id": cid,
        "_container_name": "web",
        "_image_id": shown["Image"],
        "_image_name": "busybox",
        "_command": "sh -c echo out; sleep 0.1; echo err >&2",
        "_tag": "web",
        "_created": shown["Created"],
        "_team": "<blue>",
        "_FOO": "1",
    }
    assert (err["short_message"], err["level"]) == ("err", 3)


@pytest.mark.parametrize(
    ("options", "unpacked"),
    [
        ((), gzip.decompress),
        (("gelf-compression-type=gzip", "gelf-compression-level=9"), gzip.decompress),
        (("gelf-compression-type=zlib",), zlib.decompress),
        (("gelf-compression-type=none",), bytes),
    ],
)
def test_udp(
    datagrams: Callable[..., DatagramCollector], log_run: Run, options: tuple[str, ...], unpacked: Any
) -> None:
    collector = datagrams()
    log_run("gelf", f"gelf-address=udp://{collector.address}", *options, script="echo x")
    assert json.loads(unpacked(collector.wait(1)[0]))["short_message"] == "x"


def test_large_messages_come_in_chunks(datagrams: Callable[..., DatagramCollector], log_run: Run) -> None:
    collector = datagrams()
    address = f"gelf-address=udp://{collector.address}"
    log_run("gelf", address, "gelf-compression-type=none", script="head -c 10000 /dev/zero | tr '\\0' x; echo")
    total = collector.wait(1)[0][11]
    chunks = sorted(collector.wait(total), key=lambda chunk: chunk[10])
    assert {chunk[:10] for chunk in chunks} == {b"\x1e\x0f" + chunks[0][2:10]}
    assert [chunk[10] for chunk in chunks] == list(range(total))
    assert {len(chunk) for chunk in chunks[:-1]} == {1420}
    assert json.loads(b"".join(chunk[12:] for chunk in chunks))["short_message"] == "x" * 10000


def test_a_collector_that_comes_back(cli: DockerCli, stream: Callable[..., StreamCollector]) -> None:
    first = stream()
    flags = ("--net", "none", "--log-driver", "gelf", "--log-opt", f"gelf-address=tcp://{first.address}")
    script = "echo one; n=0; while true; do [ -e /go ] && n=$((n+1)) && echo more-$n; sleep 0.1; done"
    cli.ok("run", "-d", "--name", "web", *flags, "busybox", "sh", "-c", script)
    first.lines(1, b"\0")
    first.close()
    second = stream(port=first.port)
    cli.ok("exec", "web", "touch", "/go")
    found = [json.loads(m)["short_message"] for m in second.lines(3, b"\0")]
    assert all(text.startswith("more-") for text in found)


@pytest.mark.difference("no-lost-log-lines")
def test_the_first_line_after_a_break_arrives(cli: DockerCli, stream: Callable[..., StreamCollector]) -> None:
    first = stream()
    flags = ("--net", "none", "--log-driver", "gelf", "--log-opt", f"gelf-address=tcp://{first.address}")
    script = "echo one; while [ ! -e /go ]; do sleep 0.05; done; echo two; sleep 60"
    cli.ok("run", "-d", "--name", "web", *flags, "busybox", "sh", "-c", script)
    first.lines(1, b"\0")
    first.close()
    second = stream(port=first.port)
    cli.ok("exec", "web", "touch", "/go")
    eventually(lambda: b'"two"' in second.received)
