"""The daemon's own limits on open files (setrlimit(2))."""

import contextlib
import resource


def raise_open_files() -> tuple[int, int]:
    """Let this process have as many open files as it may; return the soft and hard limit that it was given.

    As with Go's programs, only the soft limit rises, and what the daemon starts for others should get the old one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft, hard
