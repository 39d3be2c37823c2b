"""A command under a pseudo-terminal, as a person runs `docker run -it`."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time


class Terminal:
    """The command's screen is what `output` has collected so far."""

    def __init__(self, argv: list[str], environment: dict[str, str], rows: int = 24, columns: int = 80) -> None:
        self._master, slave = pty.openpty()
        self.resize(rows, columns, notify=False)
        self.output = b""
        self._consumed = 0
        self._process = subprocess.Popen(
            ["setsid", "-c", "-w", *argv], stdin=slave, stdout=slave, stderr=slave, env=environment, close_fds=True
        )
        os.close(slave)

    def resize(self, rows: int, columns: int, notify: bool = True) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if notify:
            os.killpg(os.tcgetpgrp(self._master), signal.SIGWINCH)

    def send(self, data: bytes) -> None:
        os.write(self._master, data)

    def expect(self, pattern: bytes, timeout: float = 15) -> re.Match[bytes]:
        """Wait until the pattern shows after what earlier calls matched."""
        deadline = time.monotonic() + timeout
        while True:
            found = re.compile(pattern, re.DOTALL).search(self.output, self._consumed)
            if found:
                self._consumed = found.end()
                return found
            if not self._fill(deadline):
                raise AssertionError(f"{pattern!r} did not show in {self.output[self._consumed :]!r}")

    def wait(self, timeout: float = 15) -> int:
        """The exit code, once the command has ended; reads the screen to its end."""
        deadline = time.monotonic() + timeout
        while self._fill(deadline):
            pass
        return self._process.wait(max(0.1, deadline - time.monotonic()))

    def close(self) -> None:
        if self._master < 0:
            return
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._master)
        self._master = -1

    def _fill(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # EIO: the other side is gone
            return False
        self.output += data
        return bool(data)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
