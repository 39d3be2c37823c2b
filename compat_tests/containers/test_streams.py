"""Streams of containers over the life of a container: several clients, restarts, ends, resizes."""

import json
import time
from collections.abc import Callable

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp, demultiplex
from compat_tests.clients.waiting import eventually

OUTPUT = "stream=1&stdout=1&stderr=1"


def test_attach_to_an_exited_container_waits_for_its_next_start(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("sh", "-c", "echo run >> /runs; wc -l < /runs")
    api.post(f"/containers/{container}/start")
    api.post(f"/containers/{container}/wait")
    with api.hijack(f"/containers/{container}/attach?{OUTPUT}") as attached:
        assert attached.status == 101
        api.post(f"/containers/{container}/start")
        assert demultiplex(attached.read_all()) == (b"2\n", b"")


def test_several_clients_get_all_of_it(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo line-$i; i=$((i+1)); done; echo end >&2")
    clients = [api.hijack(f"/containers/{container}/attach?{OUTPUT}") for _ in range(5)]
    try:
        api.post(f"/containers/{container}/start")
        expected = b"".join(b"line-%d\n" % n for n in range(3000))
        for client in clients:
            assert demultiplex(client.read_all()) == (expected, b"end\n")
    finally:
        for client in clients:
            client.close()


def test_a_client_ends_with_the_run_that_it_saw(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("sh", "-c", "echo hello; sleep 60")
    api.post(f"/containers/{container}/start")
    eventually(lambda: b"hello" in api.request("GET", f"/containers/{container}/logs?stdout=1").body)
    with api.hijack(f"/containers/{container}/attach?{OUTPUT}") as attached:
        api.post(f"/containers/{container}/restart?t=0")
        assert b"hello" not in demultiplex(attached.read_all())[0]
    assert api.get(f"/containers/{container}/json")["State"]["Running"]


def test_attach_between_two_runs_is_refused(api: RawHttp, create: Callable[..., str]) -> None:
    policy = {"RestartPolicy": {"Name": "always"}}
    container = create("sh", "-c", "sleep 0.05; exit 1", name="flapping", HostConfig=policy)
    api.post(f"/containers/{container}/start")
    eventually(lambda: api.get(f"/containers/{container}/json")["RestartCount"] >= 3)

    def refused() -> bool:
        # An attach that meets one of the short runs is accepted, and ends with it.
        answer = api.post(f"/containers/flapping/attach?{OUTPUT}")
        assert answer.status == 409
        return b"container flapping is restarting, wait until the container is running" in answer.body

    eventually(refused)


def test_attach_to_a_paused_container_is_refused(api: RawHttp, start: Callable[..., str]) -> None:
    container = start("sleep", "60", name="frozen")
    api.post(f"/containers/{container}/pause")
    answer = api.post(f"/containers/frozen/attach?{OUTPUT}")
    assert answer.status == 409
    assert b"container frozen is paused, unpause the container before attach" in answer.body
    keys = api.post(f"/containers/frozen/attach?{OUTPUT}&detachKeys=foo")
    assert keys.status == 400
    assert b"Invalid detach keys (foo) provided" in keys.body
    api.post(f"/containers/{container}/unpause")


@pytest.mark.parametrize("state", ["created", "exited"])
def test_resize_of_what_does_not_run(api: RawHttp, create: Callable[..., str], state: str) -> None:
    container = create("true", Tty=True)
    if state == "exited":
        api.post(f"/containers/{container}/start")
        api.post(f"/containers/{container}/wait")
    answer = api.post(f"/containers/{container}/resize?h=10&w=20")
    assert (answer.status, answer.message) == (409, f"container {container} is not running")


def test_the_size_given_at_create(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("sh", "-c", "stty size", Tty=True, HostConfig={"ConsoleSize": [33, 101]})
    api.post(f"/containers/{container}/start")
    api.post(f"/containers/{container}/wait")
    assert api.request("GET", f"/containers/{container}/logs?stdout=1").body == b"33 101\r\n"


def test_resize_while_it_runs(api: RawHttp, start: Callable[..., str]) -> None:
    container = start("sh", "-c", "trap 'stty size' WINCH; echo ready; while true; do sleep 0.05; done", Tty=True)
    eventually(lambda: b"ready" in api.request("GET", f"/containers/{container}/logs?stdout=1").body)
    assert api.post(f"/containers/{container}/resize?h=44&w=55").status == 200
    eventually(lambda: b"44 55\r\n" in api.request("GET", f"/containers/{container}/logs?stdout=1").body)


def test_logs_of_a_driver_that_cannot_be_read(api: RawHttp, create: Callable[..., str]) -> None:
    options = {"syslog-address": "udp://127.0.0.1:9", "cache-disabled": "true"}
    container = create("true", HostConfig={"LogConfig": {"Type": "syslog", "Config": options}})
    with api.hijack(f"/containers/{container}/attach?logs=1&stdout=1") as attached:
        out, _ = demultiplex(attached.read_all())
    assert out == b"Error attaching: configured logging driver does not support reading\n"


@pytest.mark.parametrize("count", [1, 200_000])
def test_output_is_complete_with_rm(cli: DockerCli, count: int) -> None:
    out = cli.ok("run", "--rm", "busybox", "sh", "-c", f"yes 0123456789 | head -n {count}; echo last")
    assert out.splitlines()[-2:] == ["0123456789", "last"]
    assert len(out.splitlines()) == count + 1


def test_both_streams_are_complete_with_rm(cli: DockerCli) -> None:
    result = cli.run("run", "--rm", "busybox", "sh", "-c", "seq 20000; seq 20000 >&2; exit 3")
    assert (result.code, len(result.out.splitlines()), len(result.err.splitlines())) == (3, 20000, 20000)


@pytest.mark.parametrize(
    ("version", "tty", "kind"),
    [("1.41", False, "raw"), ("1.41", True, "raw"), ("1.42", False, "multiplexed"), ("1.51", True, "raw")],
)
def test_content_type_of_logs(api: RawHttp, start: Callable[..., str], version: str, tty: bool, kind: str) -> None:
    container = start("true", Tty=tty)
    answer = api.request("GET", f"/v{version}/containers/{container}/logs?stdout=1")
    assert answer.headers["content-type"] == f"application/vnd.docker.{kind}-stream"


def test_input_of_one_client_reaches_all_who_watch(api: RawHttp, start: Callable[..., str]) -> None:
    container = start("cat", OpenStdin=True)
    with (
        api.hijack(f"/containers/{container}/attach?{OUTPUT}") as watcher,
        api.hijack(f"/containers/{container}/attach?stream=1&stdin=1") as writer,
    ):
        writer.send(b"hello\n")
        assert watcher.frame() == (1, b"hello\n")
        watcher.close()
        writer.send(b"again\n")
        eventually(lambda: b"again" in api.request("GET", f"/containers/{container}/logs?stdout=1").body)


def test_stages_of_one_container(api: RawHttp, create: Callable[..., str]) -> None:
    """As GitLab's runner: the same container, started once for each script that it is to read."""
    container = create("sh", OpenStdin=True, StdinOnce=True)
    for stage in range(3):
        with api.hijack(f"/containers/{container}/attach?{OUTPUT}&stdin=1") as attached:
            assert api.post(f"/containers/{container}/start").status == 204
            attached.send(f"echo stage >> /stages; echo {stage}: $(wc -l < /stages); echo err >&2\n".encode())
            attached.half_close()
            assert demultiplex(attached.read_all()) == (f"{stage}: {stage + 1}\n".encode(), b"err\n")
        assert api.post(f"/containers/{container}/wait").json()["StatusCode"] == 0


@pytest.mark.parametrize("tty", [False, True])
def test_removal_ends_the_stream(api: RawHttp, start: Callable[..., str], tty: bool) -> None:
    container = start("sh", "-c", "echo hello; sleep 60", Tty=tty)
    with api.hijack(f"/containers/{container}/attach?logs=1&{OUTPUT}") as attached:
        eventually(lambda: b"hello" in api.request("GET", f"/containers/{container}/logs?stdout=1").body)
        api.request("DELETE", f"/containers/{container}?force=1")
        attached.read_all()


def test_a_terminal_is_complete(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("sh", "-c", "i=0; while [ $i -lt 2000 ]; do echo line-$i; i=$((i+1)); done", Tty=True)
    with api.hijack(f"/containers/{container}/attach?stream=1&stdout=1") as attached:
        api.post(f"/containers/{container}/start")
        assert attached.read_all() == b"".join(b"line-%d\r\n" % n for n in range(2000))


def test_a_vanished_client_is_no_matter(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("sh", "-c", "yes 0123456789abcdef | head -n 200000; echo end")
    for _ in range(3):
        with api.hijack(f"/containers/{container}/attach?{OUTPUT}") as attached:
            api.post(f"/containers/{container}/start")
            attached.read()
        assert api.post(f"/containers/{container}/wait").json()["StatusCode"] == 0
    assert api.request("GET", f"/containers/{container}/logs?stdout=1&tail=1").body.endswith(b"end\n")


def test_events_of_attach_and_resize(api: RawHttp, start: Callable[..., str]) -> None:
    since = time.time()
    container = start("sleep", "60", Tty=True, OpenStdin=True)
    with api.hijack(f"/containers/{container}/attach?stream=1&stdin=1&stdout=1") as attached:
        api.post(f"/containers/{container}/resize?h=10&w=20")
        attached.send(b"\x10\x11")
        attached.read_all()
    filters = json.dumps({"container": [container], "type": ["container"]}, separators=(",", ":"))
    eventually(lambda: b'"detach"' in events(api, since, filters))
    told = [json.loads(line) for line in events(api, since, filters).splitlines()]
    actions = [event["Action"] for event in told if event["Action"] in ("attach", "resize", "detach")]
    assert actions == ["attach", "resize", "detach"]
    (resize,) = [event for event in told if event["Action"] == "resize"]
    assert (resize["Actor"]["Attributes"]["height"], resize["Actor"]["Attributes"]["width"]) == ("10", "20")


def events(api: RawHttp, since: float, filters: str) -> bytes:
    return api.request("GET", f"/events?since={since:.9f}&until={time.time():.9f}&filters={filters}").body
