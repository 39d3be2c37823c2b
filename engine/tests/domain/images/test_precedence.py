"""On a fast line the oldest download goes first."""

import asyncio

import pytest

from engine.domain.images import precedence
from engine.domain.images.precedence import FAST, Precedence


class Clock:
    """The time, as told."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(precedence, "time", made)
    return made


def run(pace, clock, rate):
    """Let a download get on for a fifth of a second."""
    for _ in range(20):
        clock.now += 0.01
        pace.add(int(rate * 0.01))


def test_fast_and_slow(clock):
    ways = Precedence()
    fast, slow = ways.enter(), ways.enter()
    run(fast, clock, 2 * FAST)
    assert fast.is_fast
    run(slow, clock, FAST // 2)
    assert not slow.is_fast
    assert not fast.is_fast  # nothing has come of it meanwhile


async def waits(ways, pace):
    task = asyncio.ensure_future(ways.give_way(pace))
    done, _ = await asyncio.wait([task], timeout=0.05)
    task.cancel()
    return not done


async def test_who_waits_for_whom(clock):
    ways = Precedence()
    first, second = ways.enter(), ways.enter()
    assert not await waits(ways, second)
    run(first, clock, 2 * FAST)
    assert await waits(ways, second)
    assert not await waits(ways, first)
    ways.leave(first)
    assert not await waits(ways, second)


async def test_nobody_waits_for_what_has_stopped(clock):
    ways = Precedence()
    first, second = ways.enter(), ways.enter()
    run(first, clock, 2 * FAST)
    clock.now += 1
    assert not await waits(ways, second)
