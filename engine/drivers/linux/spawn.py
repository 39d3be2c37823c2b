"""posix_spawn(3), called so that other threads run meanwhile.

Python's own holds the interpreter's lock until the child executes its program, and the kernel suspends the caller as
long: on a busy machine that stops the whole daemon for tens of milliseconds.
"""

import ctypes
import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

_OPAQUE = 512
"""Bytes, more than posix_spawn_file_actions_t (80) and posix_spawnattr_t (336) of any C library have."""
_SIGSET = 128
_SETSIGDEF, _SETSIGMASK, _SETSID = 0x04, 0x08, 0x80
_DEFAULT_AGAIN = (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_libc = ctypes.CDLL(None)


def posix_spawnp(
    argv: Sequence[str], duplicates: Iterable[tuple[int, int]], env: Mapping[str, str], *, new_session: bool
) -> int:
    """Start a program, found as execvp(3) does, and return its pid. `duplicates` are (our descriptor, the child's).

    No signal is blocked in the child. Raises FileNotFoundError, PermissionError, OSError. Blocks; call in a thread.
    """
    words = [os.fsencode(word) for word in argv]
    variables = [os.fsencode(f"{name}={value}") for name, value in env.items()]
    pid = ctypes.c_int()
    with _file_actions(duplicates) as actions, _attributes(new_session=new_session) as attributes:
        error = _libc.posix_spawnp(ctypes.byref(pid), words[0], actions, attributes, _vector(words), _vector(variables))
    _check(error, argv[0])
    return pid.value


def _vector(texts: Sequence[bytes]) -> "ctypes.Array[ctypes.c_char_p]":
    return (ctypes.c_char_p * (len(texts) + 1))(*texts, None)


@contextmanager
def _file_actions(duplicates: Iterable[tuple[int, int]]) -> "Iterator[ctypes.Array[ctypes.c_char]]":
    actions = ctypes.create_string_buffer(_OPAQUE)
    _check(_libc.posix_spawn_file_actions_init(actions))
    try:
        for source, target in duplicates:
            _check(_libc.posix_spawn_file_actions_adddup2(actions, source, target))
        yield actions
    finally:
        _libc.posix_spawn_file_actions_destroy(actions)


@contextmanager
def _attributes(*, new_session: bool) -> "Iterator[ctypes.Array[ctypes.c_char]]":
    attributes = ctypes.create_string_buffer(_OPAQUE)
    nothing, defaults = ctypes.create_string_buffer(_SIGSET), ctypes.create_string_buffer(_SIGSET)
    for number in _DEFAULT_AGAIN:
        _libc.sigaddset(defaults, number)
    _check(_libc.posix_spawnattr_init(attributes))
    try:
        _check(_libc.posix_spawnattr_setsigmask(attributes, nothing))
        _check(_libc.posix_spawnattr_setsigdefault(attributes, defaults))
        flags = _SETSIGDEF | _SETSIGMASK | (_SETSID if new_session else 0)
        _check(_libc.posix_spawnattr_setflags(attributes, ctypes.c_short(flags)))
        yield attributes
    finally:
        _libc.posix_spawnattr_destroy(attributes)


def _check(error: int, *names: str) -> None:
    """These functions return the error's number rather than set it."""
    if error:
        raise OSError(error, os.strerror(error), *names)
