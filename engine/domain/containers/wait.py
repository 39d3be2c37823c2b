"""`docker wait`: futures that the end or the removal of a container answers.

A wait is armed by a plain call, before the client hears that its request was accepted: the CLI starts a container only
when the headers of its wait have arrived, and a short-lived container must not slip through.
"""

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from engine.core.model.container import Container
from engine.domain.containers.failures import InvalidCondition


class Condition(StrEnum):
    """What a client waits for."""

    NOT_RUNNING = "not-running"
    NEXT_EXIT = "next-exit"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Exit:
    """The answer: the exit code, and an error where removal failed."""

    code: int
    error: str = ""


def parse_condition(text: str) -> Condition:
    """Return the condition that a query names; none is `not-running`. Raises InvalidCondition."""
    try:
        return Condition(text or Condition.NOT_RUNNING)
    except ValueError:
        raise InvalidCondition(text) from None


class Waits:
    """Who waits for which container."""

    def __init__(self) -> None:
        self._exit: dict[str, set[asyncio.Future[Exit]]] = {}
        self._removal: dict[str, set[asyncio.Future[Exit]]] = {}

    def arm(self, container: Container, condition: Condition) -> asyncio.Future[Exit]:
        """Return a future of the container's exit. Cancel it to stop waiting."""
        future: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        if condition is Condition.NOT_RUNNING and not container.state.running:
            future.set_result(Exit(container.state.exit_code))
            return future
        group = self._removal if condition is Condition.REMOVED else self._exit
        waiting = group.setdefault(container.id, set())
        waiting.add(future)
        future.add_done_callback(waiting.discard)
        return future

    def exited(self, container_id: str, code: int) -> None:
        """Answer those who wait for an exit."""
        _answer(self._exit.pop(container_id, set()), Exit(code))

    def removed(self, container_id: str, code: int, error: str = "") -> None:
        """Answer those who wait for the removal, and whoever still waits for an exit."""
        _answer(self._removal.pop(container_id, set()), Exit(code, error))
        _answer(self._exit.pop(container_id, set()), Exit(code, error))


def _answer(futures: set[asyncio.Future[Exit]], result: Exit) -> None:
    for future in tuple(futures):
        if not future.done():
            future.set_result(result)
