"""Why a container did not start: class, text and exit code, as dockerd derives them. Pure.

Source: moby `daemon/errors.go`, `translateContainerdStartErr`.
"""

from engine.core import os_errors
from engine.core.errors import Conflict, InvalidParameter, NotFound, WharfError
from engine.domain.containers.failures import LoggingNotInitialized
from engine.drivers.runtime.failures import RuntimeFailed

_NOT_FOUND, _NOT_EXECUTABLE, _UNKNOWN = 127, 126, 128
_MISSING = ("executable file not found", "no such file or directory", "system cannot find the file specified")
_FORBIDDEN = ("permission denied", "is a directory")
_WRONG_KIND = "not a directory"
_HINT = (
    "Are you trying to mount a directory onto a file (or vice-versa)? "
    "Check if the specified host path exists and is the expected type"
)


class LaunchFailed(WharfError):
    """A container could not be started. `exit_code` is what `docker run` makes of it: 126, 127 or 128."""

    def __init__(self, message: str, exit_code: int = _UNKNOWN) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class CommandNotRunnable(LaunchFailed, InvalidParameter):
    """The command cannot be executed, or the request was wrong otherwise: the client's mistake (400)."""


class LaunchConflict(LaunchFailed, Conflict):
    """The state of something that the container needs does not allow its start (409)."""


class LaunchMissing(LaunchFailed, NotFound):
    """Something that the container needs does not exist (404)."""


_KINDS: tuple[tuple[type[WharfError], type[LaunchFailed]], ...] = (
    (NotFound, LaunchMissing),
    (InvalidParameter, CommandNotRunnable),
    (Conflict, LaunchConflict),
)


def as_launch_failure(error: Exception) -> LaunchFailed:
    """Return the failure of a start by its cause."""
    message = os_errors.text(error) if isinstance(error, OSError) else str(error) or type(error).__name__
    if isinstance(error, RuntimeFailed):
        return _of_runtime(f"failed to create task for container: failed to create shim task: {message}")
    if isinstance(error, LoggingNotInitialized):
        return _of_runtime(message)  # dockerd looks at the text whatever it is about.
    kind = next((ours for theirs, ours in _KINDS if isinstance(error, theirs)), LaunchFailed)
    return kind(message)


def as_exec_failure(error: RuntimeFailed) -> LaunchFailed:
    """Return why a further process did not start."""
    return _of_runtime(str(error))


def _of_runtime(message: str) -> LaunchFailed:
    lowered = message.lower()
    if any(text in lowered for text in _MISSING):
        return CommandNotRunnable(message, _NOT_FOUND)
    if any(text in lowered for text in _FORBIDDEN):
        return CommandNotRunnable(message, _NOT_EXECUTABLE)
    if _WRONG_KIND in lowered:
        return CommandNotRunnable(f"{message}: {_HINT}", _NOT_FOUND)
    return LaunchFailed(message)
