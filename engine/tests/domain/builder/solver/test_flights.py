"""Equal steps are done once."""

import asyncio

import pytest

from engine.domain.builder.progress import LogEvent
from engine.domain.builder.solver.flights import Flights


class Step:
    """A step that says something and ends when it is told."""

    def __init__(self):
        self.began = 0
        self.cancelled = False
        self.end = asyncio.Event()

    async def __call__(self, report):
        self.began += 1
        report(LogEvent("", 1, b"hello"))
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return ["tree"]


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_comes_later_joins_and_hears_everything():
    flights, step, heard = Flights(), Step(), ([], [])
    first = asyncio.ensure_future(flights.join("k", step, heard[0].append))
    await settle()
    second = asyncio.ensure_future(flights.join("k", step, heard[1].append))
    await settle()
    step.end.set()
    assert await first == await second == ["tree"]
    assert step.began == 1
    assert [e.data for e in heard[0]] == [e.data for e in heard[1]] == [b"hello"]


async def test_other_keys_are_other_steps():
    flights, step = Flights(), Step()
    step.end.set()
    await asyncio.gather(*(flights.join(key, step, lambda _: None) for key in "ab"))
    assert step.began == 2


async def test_a_step_goes_on_while_somebody_waits():
    flights, step = Flights(), Step()
    first, second = (asyncio.ensure_future(flights.join("k", step, lambda _: None)) for _ in range(2))
    await settle()
    first.cancel()
    await asyncio.wait([first])
    assert not step.cancelled
    second.cancel()
    await asyncio.wait([second])
    assert step.cancelled


async def test_a_cancelled_step_is_done_anew():
    flights, step = Flights(), Step()
    first = asyncio.ensure_future(flights.join("k", step, lambda _: None))
    await settle()
    first.cancel()
    await asyncio.wait([first])
    step.end.set()
    assert await flights.join("k", step, lambda _: None) == ["tree"]
    assert step.began == 2


async def test_all_hear_of_a_failure():
    flights = Flights()

    async def fail(report):
        await asyncio.sleep(0)
        raise OSError("no")

    both = await asyncio.gather(*(flights.join("k", fail, lambda _: None) for _ in range(2)), return_exceptions=True)
    assert [str(error) for error in both] == ["no", "no"]
    with pytest.raises(OSError, match="no"):
        await flights.join("k", fail, lambda _: None)
