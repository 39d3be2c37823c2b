"""Every text of a runtime becomes the text that dockerd's clients know. Recorded from runc 1.1.5 and crun 1.8.1."""

import pytest

from engine.drivers.runtime.failures import create_failed, exec_failed

_CREATE = "OCI runtime create failed: runc create failed: unable to start container process: "
_EXEC = "OCI runtime exec failed: exec failed: unable to start container process: "
_CRUN = [
    (
        "executable file `/nosuch` not found in $PATH: No such file or directory",
        "/nosuch",
        'exec: "/nosuch": stat /nosuch: no such file or directory',
    ),
    (
        "executable file `nosuch` not found in $PATH: No such file or directory\n",
        "nosuch",
        'exec: "nosuch": executable file not found in $PATH',
    ),
    ("executable file `nosuch` not found", "nosuch", 'exec: "nosuch": executable file not found in $PATH'),
    ("open executable: Permission denied", "/etc/passwd", 'exec: "/etc/passwd": permission denied'),
    ("open executable: Operation not permitted", "/etc", 'exec: "/etc": is a directory'),
    (
        "the path `/etc/passwd` exists but it is not executable: Operation not permitted",
        "/etc/passwd",
        'exec: "/etc/passwd": permission denied',
    ),
    ("the path `/etc` is not a regular file: Operation not permitted", "/etc", 'exec: "/etc": is a directory'),
    (
        "open executable: Too many levels of symbolic links",
        "sh",
        'exec: "sh": executable file not found in $PATH',
    ),
    ("open executable: Operation not permitted", "", 'exec: "": executable file not found in $PATH'),
    ("open executable: Not a directory", "/bin/true/x", 'exec: "/bin/true/x": stat /bin/true/x: not a directory'),
    ("chdir `/x`: Not a directory", "true", 'chdir to cwd ("/x") set in config.json failed: not a directory'),
    (
        "crun: mount `/a` to `b`: Invalid argument",
        "true",
        "error during container init: mount `/a` to `b`: invalid argument",
    ),
]


@pytest.mark.parametrize(("text", "command", "expected"), _CRUN)
def test_crun_in_words_of_runc(text: str, command: str, expected: str) -> None:
    assert str(create_failed(text, command)) == f"{_CREATE}{expected}: unknown"
    assert str(exec_failed(text, command)) == f"{_EXEC}{expected}: unknown"


def test_runc_passes_unchanged() -> None:
    reason = 'unable to start container process: exec: "x": executable file not found in $PATH'
    expected = f"OCI runtime create failed: runc create failed: {reason}: unknown"
    assert str(create_failed(f"runc create failed: {reason}\n", "x")) == expected
    assert str(exec_failed(f"exec failed: {reason}", "x")) == f"OCI runtime exec failed: exec failed: {reason}: unknown"


def test_logged_line_is_unwrapped() -> None:
    text = 'time="2026-01-01T00:00:00Z" level=error msg="runc create failed: exec: \\"x\\": no"'
    assert str(create_failed(text, "x")) == 'OCI runtime create failed: runc create failed: exec: "x": no: unknown'
