"""`docker attach`, and the hijacked connection under it."""

import select
from collections.abc import Callable

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp, demultiplex
from compat_tests.clients.terminal import Terminal
from compat_tests.clients.waiting import eventually


def test_stdin_output_and_exit_code(cli: DockerCli) -> None:
    cli.ok("run", "-di", "--name", "sum", "busybox", "sh", "-c", "head -n 1; exit 5")
    with cli.spawn("attach", "sum") as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"through\n")
        process.stdin.flush()
        assert process.stdout.read() == b"through\n"
        assert process.wait(10) == 5


def test_terminal_and_detach_keys(cli: DockerCli, terminal: Callable[..., Terminal]) -> None:
    cli.ok("run", "-dit", "--name", "shell", "busybox", "sh")
    with terminal("attach", "shell") as screen:
        screen.send(b"echo $((6*7))\n")
        screen.expect(rb"\n42\r\n")
        screen.send(b"\x10\x11")
        screen.expect(rb"read escape sequence")
        assert screen.wait() == 1
    assert cli.ok("inspect", "-f", "{{.State.Running}}", "shell") == "true"
    with terminal("attach", "--detach-keys", "ctrl-x,x", "shell") as screen:
        screen.send(b"echo again\n")
        screen.expect(rb"\nagain\r\n")
        screen.send(b"\x18x")
        screen.expect(rb"read escape sequence")
        assert screen.wait() == 1


def test_detach_keys_of_run(cli: DockerCli, terminal: Callable[..., Terminal]) -> None:
    with terminal("run", "-it", "--name", "run", "busybox", "sh") as screen:
        screen.expect(rb"# ")
        screen.send(b"\x10\x11")
        assert screen.wait() == 0
    assert cli.ok("inspect", "-f", "{{.State.Running}}", "run") == "true"


def test_two_clients_see_the_same(cli: DockerCli) -> None:
    cli.ok("run", "-di", "--name", "echo", "busybox", "cat")
    with cli.spawn("attach", "--no-stdin", "echo") as watcher, cli.spawn("attach", "echo") as writer:
        assert watcher.stdout is not None and writer.stdin is not None and writer.stdout is not None

        def seen() -> bool:
            writer.stdin.write(b"ping\n")
            writer.stdin.flush()
            return bool(select.select([watcher.stdout], [], [], 0.1)[0])

        eventually(seen)
        assert watcher.stdout.readline() == writer.stdout.readline() == b"ping\n"


def test_stopped_container(cli: DockerCli, create: Callable[..., str]) -> None:
    create("true", name="stopped")
    assert "cannot attach to a stopped container" in cli.fails("attach", "stopped")


def test_attach_before_start_misses_nothing(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("sh", "-c", "echo first; echo second >&2")
    with api.hijack(f"/containers/{container}/attach?stream=1&stdout=1&stderr=1") as attached:
        assert attached.status == 101
        assert attached.headers == {
            "content-type": "application/vnd.docker.multiplexed-stream",
            "connection": "Upgrade",
            "upgrade": "tcp",
        }
        attached.half_close()
        assert api.post(f"/containers/{container}/start").status == 204
        assert demultiplex(attached.read_all()) == (b"first\n", b"second\n")


@pytest.mark.parametrize(
    ("version", "tty", "kind"), [("1.41", False, "raw"), ("1.42", False, "multiplexed"), ("1.51", True, "raw")]
)
def test_content_type_by_version(api: RawHttp, create: Callable[..., str], version: str, tty: bool, kind: str) -> None:
    container = create("true", Tty=tty)
    with api.hijack(f"/v{version}/containers/{container}/attach?stream=1&stdout=1") as attached:
        assert attached.headers["content-type"] == f"application/vnd.docker.{kind}-stream"


def test_without_upgrade_it_is_the_old_200(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("echo", "old form")
    with api.hijack(f"/containers/{container}/attach?stream=1&stdout=1", upgrade=False) as attached:
        assert attached.status == 200
        assert attached.headers == {"content-type": "application/vnd.docker.raw-stream"}
        api.post(f"/containers/{container}/start")
        assert demultiplex(attached.read_all()) == (b"old form\n", b"")


def test_half_close_is_end_of_stdin(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("sh", "-c", "cat; echo done", OpenStdin=True, StdinOnce=True)
    with api.hijack(f"/containers/{container}/attach?stream=1&stdin=1&stdout=1") as attached:
        api.post(f"/containers/{container}/start")
        attached.send(b"some input\n")
        attached.half_close()
        assert demultiplex(attached.read_all()) == (b"some input\ndone\n", b"")


def test_stdin_stays_open_without_stdin_once(api: RawHttp, create: Callable[..., str]) -> None:
    container = create("cat", OpenStdin=True)
    api.post(f"/containers/{container}/start")
    with api.hijack(f"/containers/{container}/attach?stream=1&stdin=1&stdout=1") as attached:
        attached.send(b"one\n")
        assert attached.frame() == (1, b"one\n")
    with api.hijack(f"/containers/{container}/attach?stream=1&stdin=1&stdout=1") as attached:
        attached.send(b"two\n")
        assert attached.frame() == (1, b"two\n")
    assert api.get(f"/containers/{container}/json")["State"]["Running"]


def test_logs_come_first(api: RawHttp, start: Callable[..., str]) -> None:
    container = start("sh", "-c", "echo before; cat", OpenStdin=True)
    eventually(lambda: b"before" in api.request("GET", f"/containers/{container}/logs?stdout=1").body)
    with api.hijack(f"/containers/{container}/attach?logs=1&stream=1&stdin=1&stdout=1") as attached:
        assert attached.frame() == (1, b"before\n")
        attached.send(b"after\n")
        assert attached.frame() == (1, b"after\n")


def test_logs_alone_end(api: RawHttp, start: Callable[..., str]) -> None:
    container = start("sh", "-c", "echo before; sleep 60")
    eventually(lambda: b"before" in api.request("GET", f"/containers/{container}/logs?stdout=1").body)
    with api.hijack(f"/containers/{container}/attach?logs=1&stdout=1") as attached:
        assert demultiplex(attached.read_all()) == (b"before\n", b"")


def test_errors_are_plain_answers(api: RawHttp) -> None:
    with api.hijack("/containers/nosuch/attach?stream=1&stdout=1") as attached:
        assert attached.status == 404


def test_a_slow_reader_does_not_stop_the_container(cli: DockerCli, api: RawHttp, create: Callable[..., str]) -> None:
    container = create("sh", "-c", "yes 0123456789abcde | head -n 100000; touch /finished; sleep 60")
    with api.hijack(f"/containers/{container}/attach?stream=1&stdout=1") as attached:
        api.post(f"/containers/{container}/start")
        attached.frame()
        lines = eventually(lambda: cli.ok("logs", container).splitlines(), 20)
        assert lines[0] == "0123456789abcde"
