"""A container's first process, signalled without asking the runtime: by its pid, if that is still the same process."""

import os
import signal
from pathlib import Path

from engine.drivers.runtime.failures import UnknownProcess


def send_signal(pid: int, monitor_pid: int, number: int) -> None:
    """Signal a container's first process. Raises UnknownProcess where it has ended.

    A pid alone could mean another process by now. The descriptor pins whatever it means, and only the container's
    process is a child of its monitor.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except (OSError, ValueError) as error:
        raise UnknownProcess(f"no such process: {pid}") from error
    try:
        if parent(pid) != monitor_pid:
            raise UnknownProcess(f"no such process: {pid}")
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError as error:
        raise UnknownProcess(f"no such process: {pid}") from error
    finally:
        os.close(pidfd)


def parent(pid: int) -> int:
    """Return the pid of a process's parent, 0 where it is gone. Reads procfs."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # The second field is the program's name in parentheses, which may contain anything.
    return int(text.rpartition(")")[2].split()[1])
