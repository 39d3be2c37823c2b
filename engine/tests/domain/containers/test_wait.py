"""Waits are armed at once and answered once."""

import asyncio

import pytest

from engine.core.model.container import Container, ContainerConfig, HostConfig, State, Status
from engine.domain.containers.failures import InvalidCondition
from engine.domain.containers.wait import Condition, Exit, Waits, parse_condition


def container(status: Status, code: int = 0) -> Container:
    state = State(status=status, exit_code=code)
    return Container(
        id="1", name="x", created_at=1, image="", config=ContainerConfig(), host_config=HostConfig(), state=state
    )


async def test_not_running_answers_at_once_for_what_does_not_run() -> None:
    future = Waits().arm(container(Status.EXITED, 7), Condition.NOT_RUNNING)
    assert await future == Exit(7)


async def test_next_exit_waits_for_the_next_one() -> None:
    waits = Waits()
    future = waits.arm(container(Status.EXITED, 7), Condition.NEXT_EXIT)
    await asyncio.sleep(0)
    assert not future.done()
    waits.exited("1", 3)
    assert await future == Exit(3)


async def test_removed_waits_for_more_than_the_exit() -> None:
    waits = Waits()
    future = waits.arm(container(Status.RUNNING), Condition.REMOVED)
    waits.exited("1", 3)
    assert not future.done()
    waits.removed("1", 3)
    assert await future == Exit(3)


def test_conditions() -> None:
    assert parse_condition("") is Condition.NOT_RUNNING
    with pytest.raises(InvalidCondition, match='invalid condition: "bogus"'):
        parse_condition("bogus")
