"""Additional processes in a running container."""

from msgspec import Struct


class ExecConfig(Struct, frozen=True, kw_only=True):
    """What `POST /containers/{id}/exec` asks for."""

    user: str = ""
    privileged: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None
    attach_stdin: bool = False
    attach_stderr: bool = False
    attach_stdout: bool = False
    detach_keys: str = ""
    env: list[str] | None = None
    working_dir: str = ""
    cmd: list[str] | None = None


class Exec(Struct, frozen=True, kw_only=True):
    """One exec instance: a snapshot. `exit_code` is None until it ended; pids are the host's.

    `run` is when the container was started in which it was made.
    """

    id: str
    container_id: str
    config: ExecConfig
    running: bool = False
    exit_code: int | None = None
    pid: int = 0
    monitor_pid: int = 0
    started: bool = False
    run: int = 0
