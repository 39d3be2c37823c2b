"""What an OCI runtime says when it refuses, in the words that clients of dockerd know.

Those are runc's own: `docker run` derives its exit code 126 or 127 from them, and scripts look for them. So what crun
says of the same matter is put into runc's words; everything else is passed on as it is. Pure.
"""

import re

from engine.core.errors import Internal

_CRUN_MISSING = re.compile(r"executable file [`'\"]?(?P<name>.*?)[`'\"]? not found(?: in \$PATH)?(?:: .*)?", re.DOTALL)
_CRUN_EXECUTABLE = re.compile(r"(?:open|access) (?:executable|[`'].*?[`']): (?P<reason>.+)", re.DOTALL)
# Since 1.15 or so.
_CRUN_NOT_EXECUTABLE = re.compile(r"the path `.*` exists but it is not executable(?:: .*)?", re.DOTALL)
_CRUN_NOT_A_FILE = re.compile(r"the path `.*` is not a regular file(?:: .*)?", re.DOTALL)
_CRUN_CWD = re.compile(r"chdir(?: to)? `(?P<path>.*?)`: (?P<reason>.+)", re.DOTALL)
_LOGGED = re.compile(r'^time="[^"]*" level=(?P<level>\w+) msg="(?P<message>(?:[^"\\]|\\.)*)"', re.MULTILINE)
_STARTING = "unable to start container process"


class RuntimeFailed(Internal):
    """The OCI runtime or its monitor did not do what it was asked to; the text is the runtime's."""


class UnknownProcess(RuntimeFailed):
    """There is no such process (any more)."""


def create_failed(text: str, command: str) -> RuntimeFailed:
    """Return the error for a container that could not be created. `command` is the first of its arguments."""
    reason = _in_words_of_runc(text, command)
    if not reason.startswith("runc create failed:"):
        reason = f"runc create failed: {reason}"
    return RuntimeFailed(f"OCI runtime create failed: {reason}: unknown")


def restore_failed(text: str) -> RuntimeFailed:
    """Return the error for a container that could not be restored from a checkpoint."""
    return RuntimeFailed(f"OCI runtime restore failed: {_plain(text)}: unknown")


def start_failed(text: str) -> RuntimeFailed:
    """Return the error for a container that could not be started."""
    return RuntimeFailed(f"OCI runtime start failed: {_plain(text)}: unknown")


def exec_failed(text: str, command: str) -> RuntimeFailed:
    """Return the error for a further process that could not be started in a container."""
    reason = _in_words_of_runc(text, command)
    if not reason.startswith("exec failed:"):
        reason = f"exec failed: {reason}"
    return RuntimeFailed(f"OCI runtime exec failed: {reason}: unknown")


def _in_words_of_runc(text: str, command: str) -> str:
    message = _plain(text)
    if "runc create failed:" in message or "exec failed:" in message:
        return message
    return f"{_STARTING}: {_reason(message.removeprefix('crun: '), command)}"


def _plain(text: str) -> str:
    """Unwrap what runc logs before its log file is open."""
    logged = [m["message"] for m in _LOGGED.finditer(text) if m["level"] in ("error", "fatal")]
    return re.sub(r"\\(.)", r"\1", logged[-1]) if logged else text.strip()


def _reason(message: str, command: str) -> str:
    if match := _CRUN_MISSING.fullmatch(message):
        return _missing(match["name"] or command)
    if match := _CRUN_EXECUTABLE.fullmatch(message):
        return _not_executable(command, match["reason"])
    if _CRUN_NOT_EXECUTABLE.fullmatch(message):
        return _not_executable(command, "Permission denied")
    if _CRUN_NOT_A_FILE.fullmatch(message):
        return _not_executable(command, "Operation not permitted")
    if match := _CRUN_CWD.fullmatch(message):
        return f'chdir to cwd ("{match["path"]}") set in config.json failed: {match["reason"].lower()}'
    head, colon, reason = message.rpartition(": ")
    # Go writes the C library's texts in lower case.
    return f"error during container init: {head}{colon}{reason[:1].lower()}{reason[1:]}"


def _missing(command: str) -> str:
    if "/" in command:
        return f'exec: "{command}": stat {command}: no such file or directory'
    return f'exec: "{command}": executable file not found in $PATH'


def _not_executable(command: str, reason: str) -> str:
    if "/" not in command:
        # runc looks on in $PATH, whatever was wrong with one that it found.
        return _missing(command)
    match reason:
        case "Permission denied":
            return f'exec: "{command}": permission denied'
        case "Operation not permitted":
            # What crun says of anything that is not a regular file.
            return f'exec: "{command}": is a directory'
        case "No such file or directory":
            return _missing(command)
        case _:
            return f'exec: "{command}": stat {command}: {reason.lower()}'
