"""A runtime's program as a sealed copy in memory.

runc and crun protect themselves from the containers that they make (CVE-2019-5736): at each start they copy or mount
their own file anew and execute that, unless it is a fully sealed memory file already, which nobody can write to. With
one copy made at our start, each run of the runtime saves an exec and a mount.
"""

import errno
import fcntl
import os
from pathlib import Path

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_ELF = b"\x7fELF"
_MFD_EXEC = 0x10
"""linux/memfd.h, since 6.3; required where the sysctl `vm.memfd_noexec` is set."""


def sealed_copy(program: Path, link: Path) -> int:
    """Copy a program to memory, seal it, and make `link` lead to it; return the descriptor that holds it.

    The link is good as long as we live and hold the descriptor. Raises OSError, also for a script, which could tell the
    difference. Blocks; call in a thread.
    """
    source = os.open(program, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.pread(source, len(_ELF), 0) != _ELF:
            raise OSError(errno.ENOEXEC, os.strerror(errno.ENOEXEC), str(program))
        fd = _memory_file(program.name)
        return _sealed(source, fd, link)
    finally:
        os.close(source)


def _sealed(source: int, fd: int, link: Path) -> int:
    try:
        left = os.fstat(source).st_size
        while left and (copied := os.sendfile(fd, source, None, left)):
            left -= copied
        os.fchmod(fd, 0o555)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
        link.unlink(missing_ok=True)
        link.symlink_to(f"/proc/{os.getpid()}/fd/{fd}")
    except BaseException:
        os.close(fd)
        raise
    return fd


def _memory_file(name: str) -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(name, flags | _MFD_EXEC)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.memfd_create(name, flags)
