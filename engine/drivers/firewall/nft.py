"""The program `nft`: a text of commands in, one kernel transaction out.

A program, not its library: before it does anything, libnftables reads the tables of all others in the network
namespace, and one of them, made by a newer nft or by a container, can crash it. That must not end the daemon.
"""

import errno
import os
import shutil
import signal

from engine.drivers.linux import proc

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class NftablesUnavailable(OSError):
    """The program is not installed."""

    def __init__(self) -> None:
        super().__init__(errno.ENOENT, "nftables is not installed")


class RulesRefused(OSError):
    """The kernel, or nft, does not take the rules; nothing of them is in force."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EINVAL, f"nftables: {reason.strip()}")


class NftCrashed(RulesRefused):
    """nft itself has died, most likely of somebody else's table."""

    def __init__(self, number: int) -> None:
        name = signal.Signals(number).name
        super().__init__(f"nft was ended by {name}; it may be that a table was made by a newer version of nft")


class Nftables:
    """Runs commands in the network namespace of the calling thread."""

    def __init__(self) -> None:
        """Raises NftablesUnavailable."""
        program = shutil.which("nft", path=_PATH)
        if program is None:
            raise NftablesUnavailable
        self._program = program

    def run(self, commands: str) -> None:
        """Run commands in one transaction. Raises RulesRefused. Blocks; call in a thread."""
        self._run(["-f", "-"], commands)

    def query(self, command: str) -> bytes:
        """Run a `list` command and return its answer as JSON. Raises RulesRefused. Blocks; call in a thread."""
        return self._run(["-j", "-f", "-"], command)

    def _run(self, flags: list[str], commands: str) -> bytes:
        files = [os.memfd_create(name, os.MFD_CLOEXEC) for name in ("stdin", "stdout", "stderr")]
        try:
            os.pwrite(files[0], commands.encode(), 0)
            pid = proc.spawn([self._program, *flags], dict(enumerate(files)))
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            output, error = (os.pread(fd, os.fstat(fd).st_size, 0) for fd in files[1:])
        finally:
            for fd in files:
                os.close(fd)
        if status < 0:
            raise NftCrashed(-status)
        if status > 0:
            raise RulesRefused(error.decode(errors="replace"))
        return output
