"""Restart policies."""

import pytest

from engine.core.model.container import Container, ContainerConfig, HostConfig, RestartPolicy, State, Status
from engine.domain.containers.restart import again_after_exit, again_at_daemon_start, next_delay


def ended(policy: str, exit_code: int = 0, **fields: object) -> Container:
    return Container(
        id="1" * 64,
        name="x",
        created_at=1,
        image="",
        config=ContainerConfig(),
        host_config=HostConfig(restart_policy=RestartPolicy(name=policy, maximum_retry_count=2)),
        state=State(status=Status.EXITED, exit_code=exit_code),
        started_once=True,
        **fields,
    )


@pytest.mark.parametrize(
    ("policy", "code", "count", "by_user", "again"),
    [
        ("no", 1, 0, False, False),
        ("", 1, 0, False, False),
        ("always", 0, 9, False, True),
        ("always", 0, 0, True, False),
        ("unless-stopped", 0, 0, False, True),
        ("on-failure", 0, 0, False, False),
        ("on-failure", 1, 1, False, True),
        ("on-failure", 1, 2, False, False),
    ],
)
def test_after_an_exit(policy: str, code: int, count: int, by_user: bool, again: bool) -> None:
    assert again_after_exit(ended(policy, restart_count=count, stopped_by_user=by_user), code) is again


@pytest.mark.parametrize(
    ("policy", "code", "by_user", "again"),
    [
        ("always", 0, True, True),
        ("unless-stopped", 0, True, False),
        ("unless-stopped", 0, False, True),
        ("on-failure", 0, False, False),
        ("on-failure", 2, False, True),
        ("no", 2, False, False),
    ],
)
def test_at_daemon_start(policy: str, code: int, by_user: bool, again: bool) -> None:
    assert again_at_daemon_start(ended(policy, code, stopped_by_user=by_user)) is again


def test_the_delay_doubles_and_starts_anew_after_a_long_run() -> None:
    assert next_delay(0, 0) == 0.1
    assert next_delay(0.1, 0) == 0.2
    assert next_delay(50, 0) == 60
    assert next_delay(50, 11_000_000_000) == 0.1
