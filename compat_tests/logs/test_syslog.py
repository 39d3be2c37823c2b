"""`--log-driver syslog`: what arrives."""

import re
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.collector import DatagramCollector, StreamCollector
from compat_tests.clients.secure_registry import Authority

Datagrams = Callable[..., DatagramCollector]
Stream = Callable[..., StreamCollector]
Run = Callable[..., str]
BSD = r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"
ZONE = r"(?:Z|[+-]\d\d:\d\d)"
HOST = r"[\w.-]+"


@pytest.mark.parametrize(
    ("form", "header"),
    [
        ("", f"{BSD} ID\\[\\d+\\]: "),
        ("rfc3164", f"{BSD} {HOST} ID\\[\\d+\\]: "),
        ("rfc5424", f"1 {ISO}{ZONE} {HOST} ID \\d+ ID - "),
        ("rfc5424micro", f"1 {ISO}\\.\\d{{6}}{ZONE} {HOST} ID \\d+ ID - "),
    ],
)
def test_formats(datagrams: Datagrams, log_run: Run, form: str, header: str) -> None:
    collector = datagrams()
    cid = log_run("syslog", f"syslog-address=udp://{collector.address}", *([f"syslog-format={form}"] if form else []))
    out, err = collector.wait(2)
    header = header.replace("ID", cid[:12])
    assert re.fullmatch(f"<30>{header}out\n", out.decode())
    assert re.fullmatch(f"<27>{header}err\n", err.decode())


def test_tcp(stream: Stream, log_run: Run) -> None:
    collector = stream()
    address = f"syslog-address=tcp://{collector.address}"
    log_run("syslog", address, "tag={{.Name}}/{{.ImageName}}", "syslog-facility=local3", extra=("--name", "web"))
    out, err = collector.lines(2)
    assert re.fullmatch(f"<158>{BSD} web/busybox\\[\\d+\\]: out", out.decode())
    assert re.fullmatch(f"<155>{BSD} web/busybox\\[\\d+\\]: err", err.decode())


def test_empty_lines_and_binary_output(stream: Stream, log_run: Run) -> None:
    collector = stream()
    log_run("syslog", f"syslog-address=tcp://{collector.address}", script="echo; printf 'a\\377b\\n'; echo; printf end")
    first, second = collector.lines(2)
    assert (first.partition(b": ")[2], second.partition(b": ")[2]) == (b"a\xffb", b"end")


def test_unix_sockets(stream: Stream, datagrams: Datagrams, log_run: Run, socket_path: Path) -> None:
    collector = stream(path=socket_path)
    log_run("syslog", f"syslog-address=unix://{socket_path}", "tag=t")
    assert [line[-3:] for line in collector.lines(2)] == [b"out", b"err"]
    other = datagrams(path=socket_path.with_suffix(".gram"))
    log_run("syslog", f"syslog-address=unixgram://{other.address}", "tag=t")
    assert [line[-4:] for line in other.wait(2)] == [b"out\n", b"err\n"]


def test_tls(stream: Stream, log_run: Run, authority: Authority, server_tls: ssl.SSLContext) -> None:
    collector = stream(tls=server_tls)
    ca = f"syslog-tls-ca-cert={authority.own.certificate}"
    log_run("syslog", f"syslog-address=tcp+tls://{collector.address}", ca, "tag=t")
    assert [line[-3:] for line in collector.lines(2)] == [b"out", b"err"]


def test_tls_counts_octets_in_the_modern_format(
    stream: Stream, log_run: Run, authority: Authority, server_tls: ssl.SSLContext
) -> None:
    collector = stream(tls=server_tls)
    options = ("syslog-format=rfc5424", "syslog-tls-skip-verify=true", "tag=t")
    log_run("syslog", f"syslog-address=tcp+tls://{collector.address}", *options, script="echo hello")
    (line,) = collector.lines(1)
    count, _, message = line.partition(b" ")
    assert (int(count), message[-5:]) == (len(message) + 1, b"hello")


def test_an_unknown_authority_fails_the_start(cli: DockerCli, stream: Stream, server_tls: ssl.SSLContext) -> None:
    address = f"syslog-address=tcp+tls://{stream(tls=server_tls).address}"
    cid = cli.ok("create", "--net", "none", "--log-driver", "syslog", "--log-opt", address, "busybox", "true")
    expected = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    assert f"failed to initialize logging driver: {expected}" in cli.fails("start", cid)
