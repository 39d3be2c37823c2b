"""Monitors, with a script in conmon's place that speaks its protocol."""

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.drivers.linux.pidfd import wait_exit
from engine.drivers.runtime import first_process
from engine.drivers.runtime.conmon import Conmon, ExecOptions, MonitorOptions
from engine.drivers.runtime.failures import RuntimeFailed, UnknownProcess
from engine.drivers.runtime.oci import OciRuntime, RuntimeProgram

_ID = "c" * 64


def _conmon(tmp_path: Path, body: str) -> Conmon:
    script = tmp_path / "conmon.sh"
    script.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n{body}\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    made = Conmon(tmp_path / "conmon", tmp_path / "spool", str(script))
    made.prepare()
    return made


def _runtime(tmp_path: Path) -> OciRuntime:
    return OciRuntime(RuntimeProgram("runc", "/usr/sbin/runc"), tmp_path / "state")


def _options(tmp_path: Path, **fields: object) -> MonitorOptions:
    return MonitorOptions(container_id=_ID, bundle=tmp_path, **fields)


def _process(command: str) -> Callable[[], Awaitable[Mapping[str, Any]]]:
    async def made() -> Mapping[str, Any]:
        return {"args": [command]}

    return made


async def test_created_and_ended(tmp_path: Path) -> None:
    exits = tmp_path / "conmon" / "exits"
    conmon = _conmon(tmp_path, f"echo '{{\"data\": 77}}' >&3; printf 5 > {exits}/{_ID}")
    made = await conmon.create(_runtime(tmp_path), _options(tmp_path, stdin=True, tty=True))
    assert made.pid == 77
    await wait_exit(made.monitor_pid)
    assert conmon.exit_code(_ID) == 5
    with pytest.raises(ChildProcessError):
        os.waitpid(made.monitor_pid, os.WNOHANG)
    conmon.forget(_ID)
    assert conmon.exit_code(_ID) is None
    arguments = (tmp_path / "arguments").read_text().split()
    assert {"--sync", "--full-attach", "--terminal", "--stdin", "--leave-stdin-open"} <= set(arguments)
    assert arguments[arguments.index("--log-path") + 1] == "none"


async def test_input_ends_with_the_client_where_asked(tmp_path: Path) -> None:
    conmon = _conmon(tmp_path, "echo '{\"pid\": 77}' >&3")
    await conmon.create(_runtime(tmp_path), _options(tmp_path, stdin=True, log_path=tmp_path / "log"))
    arguments = (tmp_path / "arguments").read_text().split()
    assert "--leave-stdin-open" not in arguments
    assert f"k8s-file:{tmp_path}/log" in arguments
    conmon.forget(_ID)


async def test_reason_of_a_failure(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"process": {"args": ["/x"]}}')
    conmon = _conmon(tmp_path, """echo '{"data": -1, "message": "open executable: Permission denied\\\\n"}' >&3""")
    with pytest.raises(RuntimeFailed, match=r'exec: "/x": permission denied: unknown$'):
        await conmon.create(_runtime(tmp_path), _options(tmp_path))


async def test_monitor_that_ends_in_silence(tmp_path: Path) -> None:
    conmon = _conmon(tmp_path, "echo 'no log file' >&2")
    with pytest.raises(RuntimeFailed, match="no log file"):
        await conmon.create(_runtime(tmp_path), _options(tmp_path))


async def test_cancelled_creation_is_seen_through(tmp_path: Path) -> None:
    conmon = _conmon(tmp_path, f"sleep 0.2; touch {tmp_path}/made; echo '{{\"data\": 77}}' >&3; sleep 10")
    creating = asyncio.create_task(conmon.create(_runtime(tmp_path), _options(tmp_path)))
    await asyncio.sleep(0.05)
    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating
    assert (tmp_path / "made").exists()


async def test_forgotten_monitor_is_reaped_when_it_ends(tmp_path: Path) -> None:
    conmon = _conmon(tmp_path, "echo '{\"data\": 77}' >&3; exec sleep 0.1")
    made = await conmon.create(_runtime(tmp_path), _options(tmp_path))
    conmon.forget(_ID)
    await wait_exit(made.monitor_pid)
    await asyncio.sleep(0.05)
    with pytest.raises(ChildProcessError):
        os.waitpid(made.monitor_pid, os.WNOHANG)
    await conmon.close()


async def test_exec(tmp_path: Path) -> None:
    conmon = _conmon(tmp_path, f"echo '{{\"data\": 78}}' >&3; printf 9 > {tmp_path}/conmon/exec/e/exit")
    pending = await conmon.prepare_exec(_runtime(tmp_path), ExecOptions("e", _ID, "true"), _process("true"))
    started = await pending.go()
    await wait_exit(started.monitor_pid)
    assert conmon.exec_exit_code("e") == 9
    conmon.forget_exec("e")
    assert not (tmp_path / "conmon" / "exec" / "e").exists()


async def test_exec_on_a_terminal_tells_its_log(tmp_path: Path) -> None:
    log = '{"msg":"executable file `x` not found in $PATH: No such file or directory","level":"error"}'
    conmon = _conmon(tmp_path, f"echo '{log}' > {tmp_path}/conmon/exec/e/runtime.log")
    pending = await conmon.prepare_exec(_runtime(tmp_path), ExecOptions("e", _ID, "x", tty=True), _process("x"))
    with pytest.raises(RuntimeFailed, match="executable file not found in"):
        await pending.go()
    assert not (tmp_path / "conmon" / "exec" / "e").exists()


async def test_leftovers_of_ended_execs_go_at_start(tmp_path: Path) -> None:
    left = tmp_path / "conmon" / "exec" / "old"
    left.mkdir(parents=True)
    (tmp_path / "conmon" / "conmon-term.X").touch()
    _conmon(tmp_path, "")
    assert not left.exists()
    assert not (tmp_path / "conmon" / "conmon-term.X").exists()


async def test_signals_reach_only_children_of_the_monitor() -> None:
    child = os.posix_spawn("/bin/sleep", ["sleep", "10"], {})
    with pytest.raises(UnknownProcess):
        first_process.send_signal(child, 1, 9)
    first_process.send_signal(child, os.getpid(), 9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    with pytest.raises(UnknownProcess):
        first_process.send_signal(child, os.getpid(), 9)
    with pytest.raises(UnknownProcess):
        first_process.send_signal(0, 0, 9)
