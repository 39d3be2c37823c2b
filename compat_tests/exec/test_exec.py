"""`docker exec`, and the exec API."""

from collections.abc import Callable
from typing import Any

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.rawhttp import RawHttp, demultiplex
from compat_tests.clients.terminal import Terminal
from compat_tests.clients.waiting import eventually


@pytest.fixture
def web(start: Callable[..., str]) -> str:
    return start("sleep", "300", name="web", Env=["A=container"])


def test_output_and_exit_code(cli: DockerCli, web: str) -> None:
    result = cli.run("exec", "web", "sh", "-c", "echo out; echo err >&2; exit 4")
    assert (result.code, result.out, result.err) == (4, "out\n", "err\n")


def test_environment_user_and_workdir(cli: DockerCli, web: str) -> None:
    out = cli.ok(
        "exec", "-e", "B=exec", "-u", "alice", "-w", "/opt", "web", "sh", "-c", "echo $A $B $(id -un) $(pwd) $HOME"
    )
    assert out == "container exec alice /opt /home/alice"


def test_stdin(cli: DockerCli, web: str) -> None:
    data = b"0123456789abcdef" * 20_000
    result = cli.run("exec", "-i", "web", "wc", "-c", stdin=data)
    assert (result.code, result.out.strip()) == (0, str(len(data)))


def test_large_output_is_whole(cli: DockerCli, web: str) -> None:
    result = cli.run("exec", "web", "sh", "-c", "yes 0123456789abcde | head -n 300000")
    assert len(result.out) == 300_000 * 16


def test_detached(cli: DockerCli, web: str) -> None:
    assert cli.ok("exec", "-d", "web", "sh", "-c", "touch /made; sleep 60") == ""
    assert eventually(lambda: cli.run("exec", "web", "test", "-e", "/made").code == 0)


def test_terminal(terminal: Callable[..., Terminal], web: str) -> None:
    with terminal("exec", "-it", "web", "sh", rows=31, columns=71) as screen:
        screen.expect(rb"# ")
        screen.send(b"until stty size | grep '31 71'; do :; done; tty\n")
        screen.expect(rb"31 71\r\n/dev/pts/\d+\r\n")
        screen.send(b"exit 6\n")
        assert screen.wait() == 6


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        (("nosuch",), 127, "executable file not found in $PATH"),
        (("/nosuch",), 127, "no such file or directory"),
        (("/etc/passwd",), 126, "permission denied"),
    ],
)
def test_what_cannot_start(cli: DockerCli, web: str, command: tuple[str, ...], code: int, text: str) -> None:
    result = cli.run("exec", "web", *command)
    assert result.code == code
    assert text in result.out + result.err
    assert "OCI runtime exec failed" in result.out + result.err


def test_bad_user_and_workdir(cli: DockerCli, web: str) -> None:
    assert "unable to find user nosuch: no matching entries in passwd file" in cli.fails(
        "exec", "-u", "nosuch", "web", "true"
    )
    result = cli.run("exec", "-w", "/nosuch", "web", "true")
    assert result.code in (126, 127)


def test_privileged(cli: DockerCli, web: str) -> None:
    plain = cli.ok("exec", "web", "grep", "CapEff", "/proc/self/status")
    assert plain == "CapEff:\t00000000a80425fb"
    raised = cli.ok("exec", "--privileged", "web", "grep", "CapEff", "/proc/self/status").split()[1]
    assert int(raised, 16) & (1 << 21), "CAP_SYS_ADMIN"


def exec_of(api: RawHttp, name: str, *command: str, **options: Any) -> str:
    body = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, **options}
    answer = api.post(f"/containers/{name}/exec", body)
    assert answer.status == 201, answer
    return str(answer.json()["Id"])


def test_exit_code_is_there_when_the_stream_ends(api: RawHttp, web: str) -> None:
    for _ in range(10):
        exec_id = exec_of(api, "web", "sh", "-c", "exit 5")
        with api.hijack(f"/exec/{exec_id}/start", {"Detach": False, "Tty": False}) as stream:
            assert stream.status == 101
            assert stream.headers["content-type"] == "application/vnd.docker.multiplexed-stream"
            assert stream.read_all() == b""
        found = api.get(f"/exec/{exec_id}/json")
        assert (found["Running"], found["ExitCode"]) == (False, 5)


def test_inspect(api: RawHttp, web: str) -> None:
    exec_id = exec_of(api, "web", "sleep", "60", User="alice", Tty=True)
    before = api.get(f"/exec/{exec_id}/json")
    assert (before["Running"], before["ExitCode"], before["ContainerID"], before["Pid"]) == (False, None, web, 0)
    config = before["ProcessConfig"]
    assert (config["entrypoint"], config["arguments"], config["tty"], config["user"]) == (
        "sleep",
        ["60"],
        True,
        "alice",
    )
    assert exec_id in api.get("/containers/web/json")["ExecIDs"]
    answer = api.post(f"/exec/{exec_id}/start", {"Detach": True, "Tty": True})
    assert (answer.status, answer.body) == (200, b"")
    running = api.get(f"/exec/{exec_id}/json")
    assert running["Running"] is True
    assert running["Pid"] > 0
    assert api.post(f"/exec/{exec_id}/resize?h=10&w=20").status == 200


def test_without_upgrade(api: RawHttp, web: str) -> None:
    exec_id = exec_of(api, "web", "echo", "old form")
    with api.hijack(f"/exec/{exec_id}/start", {"Detach": False}, upgrade=False) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"] == "application/vnd.docker.raw-stream"
        assert demultiplex(stream.read_all()) == (b"old form\n", b"")


def test_half_close_is_end_of_stdin(api: RawHttp, web: str) -> None:
    exec_id = exec_of(api, "web", "sh", "-c", "cat; echo done", AttachStdin=True)
    with api.hijack(f"/exec/{exec_id}/start", {"Detach": False}) as stream:
        stream.send(b"input\n")
        stream.half_close()
        assert demultiplex(stream.read_all()) == (b"input\ndone\n", b"")


def test_detach_keys(api: RawHttp, web: str) -> None:
    exec_id = exec_of(api, "web", "cat", AttachStdin=True, Tty=True, DetachKeys="ctrl-a,a")
    with api.hijack(f"/exec/{exec_id}/start", {"Detach": False, "Tty": True}) as stream:
        stream.send(b"x\n")
        stream.read_until(b"x\r\n")
        stream.send(b"\x01a")
        stream.read_all()
    commands = [process[-1] for process in api.get("/containers/web/top")["Processes"]]
    assert commands == ["sleep 300", "cat"]


def test_started_twice(api: RawHttp, web: str) -> None:
    exec_id = exec_of(api, "web", "sleep", "60")
    assert api.post(f"/exec/{exec_id}/start", {"Detach": True}).status == 200
    again = api.post(f"/exec/{exec_id}/start", {"Detach": True})
    assert again.status == 409
    assert again.message == f"exec command {exec_id} is already running"


def test_run_out(api: RawHttp, web: str) -> None:
    exec_id = exec_of(api, "web", "true")
    with api.hijack(f"/exec/{exec_id}/start", {"Detach": False}) as stream:
        stream.read_all()
    again = api.post(f"/exec/{exec_id}/start", {"Detach": True})
    assert (again.status, again.message) == (409, f"exec command {exec_id} has already run")

    def gone() -> bool:
        # dockerd's containerd forgets the process a moment after its end.
        resized = api.post(f"/exec/{exec_id}/resize?h=1&w=2")
        assert (resized.status, resized.message) == (404, f"NotFound: process does not exist {exec_id}: not found")
        return True

    eventually(gone)


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        (["nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH: unknown'),
        (["/etc/passwd"], 126, 'exec: "/etc/passwd": permission denied: unknown'),
    ],
)
def test_detached_that_cannot_start(api: RawHttp, web: str, command: list[str], code: int, message: str) -> None:
    exec_id = exec_of(api, "web", *command)
    refused = api.post(f"/exec/{exec_id}/start", {"Detach": True})
    whole = f"OCI runtime exec failed: exec failed: unable to start container process: {message}"
    assert (refused.status, refused.message) == (400, whole)
    assert api.get(f"/exec/{exec_id}/json")["ExitCode"] == code


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ({"User": "nosuch"}, 400, "unable to find user nosuch: no matching entries in passwd file"),
        ({"User": "0:nosuch"}, 400, "unable to find group nosuch: no matching entries in group file"),
        ({"User": "99999999999"}, 400, "uids and gids must be in range 0-2147483647"),
        ({"DetachKeys": "ctrl-?"}, 500, "Invalid escape keys (ctrl-?) provided"),
    ],
)
def test_refused(api: RawHttp, web: str, options: dict[str, Any], status: int, message: str) -> None:
    answer = api.post("/containers/web/exec", {"Cmd": ["true"], **options})
    assert (answer.status, answer.message) == (status, message)


def test_one_that_was_never_started_goes_with_the_run(api: RawHttp, cli: DockerCli, web: str) -> None:
    exec_id = exec_of(api, "web", "true")
    cli.ok("restart", "-t", "0", "web")
    assert api.get("/containers/web/json")["ExecIDs"] is None
    refused = api.post(f"/exec/{exec_id}/start", {"Detach": True})
    assert (refused.status, refused.message) == (404, f"No such exec instance: {exec_id}")


def test_errors(api: RawHttp, web: str) -> None:
    for path in ("/exec/nosuch/start", "/exec/nosuch/resize?h=1&w=1"):
        answer = api.post(path, {})
        assert (answer.status, answer.message) == (404, "No such exec instance: nosuch")
    assert api.request("GET", "/exec/nosuch/json").status == 404
    empty = api.post("/containers/web/exec", {"Cmd": []})
    assert (empty.status, empty.message) == (400, "No exec command specified")
    assert api.post("/containers/nosuch/exec", {"Cmd": ["true"]}).status == 404


def test_exec_ends_with_its_container(cli: DockerCli, web: str) -> None:
    with cli.spawn("exec", "web", "sh", "-c", "echo ready; sleep 60") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        cli.ok("kill", "web")
        assert process.wait(10) == 137


def test_many_at_once(cli: DockerCli, web: str) -> None:
    with cli.spawn("exec", "web", "cat", "/etc/passwd") as one, cli.spawn("exec", "web", "echo", "two") as two:
        assert two.communicate()[0] == b"two\n"
        assert b"alice" in one.communicate()[0]
