"""What the kernel refuses, in the words of Go's `os` package: users and tools know Docker's errors so. Pure."""

import os


def reason(error: OSError) -> str:
    """Return why, without what it is about: `no such file or directory`."""
    if not error.errno:
        return str(error)
    usual = os.strerror(error.errno)
    # uvloop and some of our own errors have other words.
    return usual.lower() if error.strerror in (None, usual) else str(error.strerror)


def text(error: OSError, operation: str = "") -> str:
    """Return the whole: `open /x: no such file or directory`. `operation` is Go's name of the call."""
    names = [_shown(n) for n in (error.filename, error.filename2) if isinstance(n, str | bytes)]
    if not names or not error.errno:
        return reason(error)
    call = operation or ("open" if len(names) == 1 else "rename")
    return f"{call} {' '.join(names)}: {reason(error)}"


def _shown(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode(errors="backslashreplace")
