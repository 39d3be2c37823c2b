"""`docker logs` of every driver, with details, of long lines, and through rotation."""

import re
from collections.abc import Callable

import docker
import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.collector import StreamCollector
from compat_tests.clients.rawhttp import RawHttp, demultiplex
from compat_tests.clients.waiting import eventually

Run = Callable[..., str]
Stream = Callable[..., StreamCollector]


@pytest.mark.parametrize("driver", ["syslog", "fluentd", "gelf"])
def test_logs_of_what_is_sent_elsewhere(cli: DockerCli, stream: Stream, log_run: Run, driver: str) -> None:
    collector = stream()
    script = "echo one; echo two; sleep 0.1; echo err >&2"
    cid = log_run(driver, f"{driver}-address=tcp://{collector.address}", script=script)
    result = cli.run("logs", cid)
    assert (result.code, result.out, result.err) == (0, "one\ntwo\n", "err\n")
    assert cli.ok("logs", "--tail", "1", cid) == ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\S+Z one\n.*", cli.run("logs", "-t", cid).out, re.DOTALL)


def test_follow_what_is_sent_elsewhere(cli: DockerCli, stream: Stream) -> None:
    address = f"fluentd-address={stream().address}"
    script = "echo one; while [ ! -e /go ]; do sleep 0.05; done; echo two"
    flags = ("--net", "none", "--log-driver", "fluentd", "--log-opt", address)
    cli.ok("run", "-d", "--name", "web", *flags, "busybox", "sh", "-c", script)
    with cli.spawn("logs", "-f", "web") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"one\n"
        cli.ok("exec", "web", "touch", "/go")
        assert process.stdout.read() == b"two\n"


def test_without_a_cache_there_is_nothing_to_read(cli: DockerCli, stream: Stream, log_run: Run) -> None:
    collector = stream()
    cid = log_run("syslog", f"syslog-address=tcp://{collector.address}", "cache-disabled=true", script="echo one")
    assert collector.lines(1)[0].endswith(b"]: one")
    assert cli.fails("logs", cid) == "Error response from daemon: configured logging driver does not support reading"


def test_details(cli: DockerCli, log_run: Run) -> None:
    options = ("labels=b,a,c,\N{LATIN SMALL LETTER E WITH ACUTE}", "env=E2,E1", "tag={{.Name}}/{{.ImageName}}")
    labels = ("a=1", "b=x y", "c=p,q=r", "\N{LATIN SMALL LETTER E WITH ACUTE}=1")
    flags = [word for label in labels for word in ("-l", label)]
    extra = ("--name", "d1", *flags, "-e", "E1=v1", "-e", "E2=a b=c", "-e", "E3=no")
    log_run("json-file", *options, script="echo hello", extra=extra)
    details = "E1=v1,E2=a+b%3Dc,a=1,b=x+y,c=p%2Cq%3Dr,tag=d1%2Fbusybox,%C3%A9=1"
    assert cli.ok("logs", "--details", "d1") == f"{details} hello"
    assert re.fullmatch(r"\S+Z " + re.escape(f"{details} hello"), cli.ok("logs", "--details", "-t", "d1"))


def test_details_by_expression(cli: DockerCli, log_run: Run) -> None:
    flags = ("-l", "a=1", "-l", "ab=2", "-l", "b=3", "-e", "XA=1", "-e", "XB=2")
    cid = log_run("json-file", "labels-regex=^a", "env-regex=B", script="echo hello", extra=flags)
    assert cli.ok("logs", "--details", cid) == "XB=2,a=1,ab=2 hello"


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_without_details(cli: DockerCli, log_run: Run, driver: str) -> None:
    cid = log_run(driver, script="echo hello")
    assert cli.run("logs", "--details", cid).out == " hello\n"


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_long_lines_stay_whole(api: RawHttp, log_run: Run, driver: str) -> None:
    script = "head -c 40000 /dev/zero | tr '\\0' x; echo; head -c 16384 /dev/zero | tr '\\0' y; echo; printf end"
    cid = log_run(driver, script=script)
    out, _ = demultiplex(api.request("GET", f"/containers/{cid}/logs?stdout=1").body)
    assert out == b"x" * 40000 + b"\n" + b"y" * 16384 + b"\nend"


@pytest.mark.difference("long-lines")
def test_a_long_line_counts_and_is_stamped_once(cli: DockerCli, log_run: Run) -> None:
    cid = log_run("json-file", script="head -c 40000 /dev/zero | tr '\\0' x; echo")
    stamped = cli.run("logs", "-t", cid).out
    assert re.fullmatch(r"\S+Z x{40000}\n", stamped)
    assert cli.run("logs", "-t", "--tail", "1", cid).out == stamped


def test_parts_of_a_line_are_joined(cli: DockerCli, log_run: Run) -> None:
    cid = log_run("json-file", script="printf a; sleep 0.1; printf b; sleep 0.1; echo c; echo d")
    assert re.fullmatch(r"\S+Z abc\n\S+Z d\n", cli.run("logs", "-t", cid).out)
    assert cli.ok("logs", "--tail", "2", cid) == "abc\nd"


def test_followers_get_a_line_in_each_frame(client: docker.DockerClient) -> None:
    script = "i=0; while [ $i -lt 3000 ]; do echo line-$i; i=$((i+1)); done; printf pa; sleep 0.1; echo rt; printf end"
    container = client.containers.run("busybox", ["sh", "-c", script], detach=True)
    expected = [*(b"line-%d\n" % n for n in range(3000)), b"part\n", b"end"]
    assert list(container.logs(stream=True, follow=True)) == expected


def test_a_line_is_not_torn_by_the_other_stream(api: RawHttp, log_run: Run) -> None:
    cid = log_run("json-file", script="printf x; sleep 0.1; echo err >&2; sleep 0.1; echo y")
    body = api.request("GET", f"/containers/{cid}/logs?stdout=1&stderr=1").body
    assert body == b"\2\0\0\0\0\0\0\4err\n\1\0\0\0\0\0\0\3xy\n"


@pytest.mark.parametrize(
    ("driver", "options"),
    [
        ("json-file", ("max-size=15k", "max-file=4", "compress=true")),
        ("local", ("max-size=15k", "max-file=4")),
        ("local", ("max-size=15k", "max-file=4", "compress=false")),
        ("json-file", ("max-size=15k",)),
    ],
)
def test_follow_goes_through_rotation(cli: DockerCli, driver: str, options: tuple[str, ...]) -> None:
    script = "i=0; while [ $i -lt 1200 ]; do echo line-$i-012345678901234567890123456789; i=$((i+1)); "
    script += "[ $((i % 100)) -eq 0 ] && sleep 0.12; done"
    flags = [word for option in options for word in ("--log-opt", option)]
    start = ("run", "-d", "--name", "rot", "--net", "none", "--log-driver", driver, *flags, "busybox", "sh", "-c")
    cli.ok(*start, "while [ ! -e /go ]; do sleep 0.05; done; " + script)
    with cli.spawn("logs", "-f", "rot") as process:
        assert process.stdout is not None
        cli.ok("exec", "rot", "touch", "/go")
        numbers = [int(line.split(b"-")[1]) for line in process.stdout.read().splitlines()]
    assert numbers == list(range(1200))
    kept = [int(line.split("-")[1]) for line in cli.ok("logs", "rot").splitlines()]
    assert kept == list(range(kept[0], 1200))
    assert len(kept) < 1200
    for tail in (1, len(kept) - 5):
        assert len(cli.ok("logs", "--tail", str(tail), "rot").splitlines()) == tail


@pytest.mark.wharfd_only("dockerd stalls, and cannot remove the container for minutes")
def test_a_collector_that_does_not_read_holds_up_no_container(cli: DockerCli, stream: Stream) -> None:
    collector = stream()
    collector.pause()
    flags = ("--log-driver", "gelf", "--log-opt", f"gelf-address=tcp://{collector.address}")
    script = "i=0; while [ $i -lt 40000 ]; do echo line-$i-0123456789012345678901234567890123456789; i=$((i+1)); done"
    cli.ok("run", "-d", "--name", "fast", "--net", "none", *flags, "busybox", "sh", "-c", script)
    assert cli.ok("wait", "fast", timeout=8) == "0"
    collector.resume()
    eventually(lambda: len(collector.received) > 1000)
