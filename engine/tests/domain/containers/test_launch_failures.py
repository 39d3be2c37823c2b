"""A failed start has dockerd's text, status and exit code."""

import pytest

from engine.core.errors import Conflict, InvalidParameter, NotFound
from engine.domain.containers.failures import NetworkPeerNotRunning
from engine.domain.containers.launch_failures import as_launch_failure
from engine.drivers.runtime.failures import RuntimeFailed

_PREFIX = "failed to create task for container: failed to create shim task: "


@pytest.mark.parametrize(
    ("text", "code", "client"),
    [
        ('exec: "x": executable file not found in $PATH: unknown', 127, True),
        ('exec: "/x": stat /x: no such file or directory: unknown', 127, True),
        ('exec: "/x": permission denied: unknown', 126, True),
        ('exec: "/x": is a directory: unknown', 126, True),
        ("something else: unknown", 128, False),
    ],
)
def test_of_the_runtime(text: str, code: int, client: bool) -> None:
    failure = as_launch_failure(RuntimeFailed(text))
    assert str(failure) == _PREFIX + text
    assert failure.exit_code == code
    assert isinstance(failure, InvalidParameter) is client


def test_wrong_kind_of_mount_has_the_hint() -> None:
    failure = as_launch_failure(RuntimeFailed("mount a to b: not a directory: unknown"))
    assert str(failure).endswith("Check if the specified host path exists and is the expected type")
    assert failure.exit_code == 127


def test_status_of_the_cause_is_kept() -> None:
    failure = as_launch_failure(NetworkPeerNotRunning("x"))
    assert isinstance(failure, Conflict)
    assert str(failure) == "cannot join network of a non running container: x"
    assert isinstance(as_launch_failure(NotFound("no such network")), NotFound)
    assert as_launch_failure(OSError("disk full")).exit_code == 128


@pytest.mark.parametrize("error", [KeyError("unforeseen"), AttributeError()])
def test_an_unforeseen_error_is_a_failed_start_too(error):
    failure = as_launch_failure(error)
    assert str(failure) == (str(error) or "AttributeError")
    assert failure.exit_code == 128
