"""`docker logs`."""

import re
import time

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp, demultiplex
from compat_tests.clients.waiting import eventually

COUNT = 'i=1; while [ $i -le 10 ]; do echo "line $i"; i=$((i+1)); done; sleep 0.1; echo "err" >&2'


@pytest.fixture
def counted(cli: DockerCli) -> str:
    cli.ok("run", "--name", "counted", "-l", "env=test", "busybox", "sh", "-c", COUNT)
    return "counted"


def test_both_streams(cli: DockerCli, counted: str) -> None:
    result = cli.run("logs", counted)
    assert (result.code, result.out, result.err) == (0, "".join(f"line {n}\n" for n in range(1, 11)), "err\n")


@pytest.mark.parametrize(("tail", "lines"), [("0", 0), ("1", 1), ("4", 4), ("100", 11), ("all", 11), ("-1", 11)])
def test_tail(cli: DockerCli, counted: str, tail: str, lines: int) -> None:
    result = cli.run("logs", "--tail", tail, counted)
    assert len((result.out + result.err).splitlines()) == lines


def test_timestamps(cli: DockerCli, counted: str) -> None:
    out = cli.ok("logs", "-t", counted)
    for line in out.splitlines():
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z line \d+", line)


def test_since_and_until(cli: DockerCli) -> None:
    cli.ok("run", "-d", "--name", "timed", "busybox", "sh", "-c", "echo early; sleep 1.5; echo late; sleep 60")
    eventually(lambda: "late" in cli.ok("logs", "timed"))
    stamps = {line.split()[1]: line.split()[0] for line in cli.ok("logs", "-t", "timed").splitlines()}
    middle = time.time() - 0.75
    assert stamps["early"] < stamps["late"]
    since = stamps["late"]
    assert cli.ok("logs", "--since", since, "timed") == "late"
    assert cli.ok("logs", "--until", stamps["early"], "timed") == "early"
    assert cli.ok("logs", "--until", f"{middle - 3600:.9f}", "timed") == ""
    assert cli.ok("logs", "--since", "1h", "timed") == "early\nlate"


def test_follow_ends_with_the_container(cli: DockerCli) -> None:
    cli.ok("run", "-d", "--name", "ten", "busybox", "sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done")
    assert cli.ok("logs", "-f", "ten").split() == ["1", "2", "3", "4", "5"]


def test_follow_shows_lines_as_they_come(cli: DockerCli) -> None:
    cli.ok(
        "run",
        "-d",
        "--name",
        "live",
        "busybox",
        "sh",
        "-c",
        "echo first; while [ ! -e /go ]; do sleep 0.05; done; echo second; sleep 60",
    )
    with cli.spawn("logs", "-f", "live") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"first\n"
        cli.ok("exec", "live", "touch", "/go")
        assert process.stdout.readline() == b"second\n"


def test_follow_with_tail(cli: DockerCli) -> None:
    cli.ok("run", "-d", "--name", "tailed", "busybox", "sh", "-c", COUNT + "; sleep 60")
    eventually(lambda: "err" in cli.run("logs", "tailed").err)
    with cli.spawn("logs", "-f", "--tail", "3", "tailed") as process:
        assert process.stdout is not None
        assert process.stdout.readline() in (b"line 8\n", b"line 9\n")


def test_details(cli: DockerCli) -> None:
    cli.ok("run", "--name", "detailed", "-l", "team=blue", "--log-opt", "labels=team", "busybox", "echo", "hello")
    assert cli.ok("logs", "--details", "detailed") == "team=blue hello"


def test_terminal_output_is_raw(cli: DockerCli, api: RawHttp) -> None:
    cli.ok("run", "-d", "-t", "--name", "tty", "busybox", "echo", "hello")
    cli.ok("wait", "tty")
    answer = api.request("GET", "/containers/tty/logs?stdout=1&stderr=1")
    assert answer.headers["content-type"] == "application/vnd.docker.raw-stream"
    assert answer.body == b"hello\r\n"


def test_frames(api: RawHttp, counted: str) -> None:
    answer = api.request("GET", f"/containers/{counted}/logs?stdout=1&stderr=1&tail=2")
    assert answer.headers["content-type"] == "application/vnd.docker.multiplexed-stream"
    assert demultiplex(answer.body) == (b"line 10\n", b"err\n")
    old = api.request("GET", f"/v1.41/containers/{counted}/logs?stdout=1&stderr=1&tail=2")
    assert demultiplex(old.body) == (b"line 10\n", b"err\n")
    only = api.request("GET", f"/containers/{counted}/logs?stderr=1")
    assert demultiplex(only.body) == (b"", b"err\n")


def test_at_least_one_stream(api: RawHttp, counted: str) -> None:
    answer = api.request("GET", f"/containers/{counted}/logs")
    assert (answer.status, answer.message) == (400, "Bad parameters: you must choose at least one stream")


def test_no_such_container(cli: DockerCli) -> None:
    assert cli.fails("logs", "nosuch") == "Error response from daemon: No such container: nosuch"


def test_long_lines_and_binary_output(cli: DockerCli, api: RawHttp) -> None:
    cli.ok(
        "run",
        "--name",
        "long",
        "busybox",
        "sh",
        "-c",
        "head -c 100000 /dev/zero | tr '\\0' x; echo; printf 'a\\377b\\n'; printf 'no newline'",
    )
    out, _ = demultiplex(api.request("GET", "/containers/long/logs?stdout=1").body)
    lines = out.split(b"\n")
    assert lines[0] == b"x" * 100_000
    assert lines[1] in (b"a\xffb", b"a\xef\xbf\xbdb")
    assert lines[2] == b"no newline"


def test_none_driver(cli: DockerCli) -> None:
    cli.ok("run", "--name", "silent", "--log-driver", "none", "busybox", "echo", "hello")
    assert "configured logging driver does not support reading" in cli.fails("logs", "silent")


def test_a_second_start_appends(cli: DockerCli) -> None:
    cli.ok("run", "--name", "twice", "busybox", "echo", "hello")
    cli.ok("start", "-a", "twice")
    assert cli.ok("logs", "twice") == "hello\nhello"
    assert cli.ok("logs", "--tail", "1", "twice") == "hello"


def test_rotation_keeps_following(cli: DockerCli) -> None:
    # In bursts: wharfd rotates a moment after the bound is passed (see DIFFERENCES.md).
    line = "echo line-$i-0123456789012345678901234567890123456789; i=$((i+1))"
    script = f"i=0; while [ $i -lt 3000 ]; do {line}; [ $((i % 500)) -eq 0 ] && sleep 0.3; done; sleep 60"
    cli.ok(
        "run",
        "-d",
        "--name",
        "rot",
        "--log-opt",
        "max-size=40k",
        "--log-opt",
        "max-file=3",
        "busybox",
        "sh",
        "-c",
        script,
    )
    eventually(lambda: "line-2999-" in cli.ok("logs", "--tail", "1", "rot"))
    kept = cli.ok("logs", "rot").splitlines()
    assert kept[-1].startswith("line-2999-")
    numbers = [int(line.split("-")[1]) for line in kept]
    assert numbers == list(range(numbers[0], 3000))
    assert 300 < len(numbers) < 3000
