"""Carries bytes between a client and a console until one of them has enough.

The console's output is complete to its last byte; a client that stops reading is the console's spool's business and
never the container's (see `engine/drivers/runtime/console.py`).
"""

import asyncio
import contextlib
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from engine.domain.containers.detach_keys import EscapeScanner
from engine.drivers.runtime.console import Console


class Client(Protocol):
    """The far end of an attach or exec stream, as the API layer provides it."""

    async def send(self, stream: int, data: bytes) -> None:
        """Deliver output of stream 1 or 2; waits while the client is slow. Raises ConnectionError when it is gone."""

    async def receive(self) -> bytes:
        """Return what the client typed; empty when it will type no more. Raises ConnectionError when it is gone."""

    async def gone(self) -> None:
        """Return when the client is gone altogether; a half-close is not that."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which streams a client takes part in, and the keys by which it leaves (empty: none)."""

    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    detach_keys: bytes = b""


class Ending(Enum):
    """Why carrying stopped."""

    OUTPUT_ENDED = auto()
    DETACHED = auto()
    CLIENT_GONE = auto()


async def carry(console: Console, client: Client, wanted: Wanted) -> Ending:
    """Carry bytes both ways; return when the output has ended, or the client detached or vanished."""
    output = asyncio.ensure_future(_carry_output(console, client, wanted))
    source = asyncio.ensure_future(_carry_input(console, client, wanted))
    try:
        await asyncio.wait((output, source), return_when=asyncio.FIRST_COMPLETED)
        if not output.done() and source.result() is None:
            await output
        return output.result() if output.done() else source.result() or Ending.OUTPUT_ENDED
    finally:
        for task in (output, source):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(output, source, return_exceptions=True)


async def _carry_output(console: Console, client: Client, wanted: Wanted) -> Ending:
    kept = {1: wanted.stdout, 2: wanted.stderr}
    try:
        async for stream, data in console:
            if kept.get(stream):
                await client.send(stream, data)
    except ConnectionError:
        return Ending.CLIENT_GONE
    return Ending.OUTPUT_ENDED


async def _carry_input(console: Console, client: Client, wanted: Wanted) -> Ending | None:
    """Return None when the client types no more but may go on reading."""
    scanner = EscapeScanner(wanted.detach_keys) if wanted.detach_keys else None
    try:
        while data := await client.receive():
            if not wanted.stdin:
                continue
            typed, detached = scanner.feed(data) if scanner else (data, False)
            if typed:
                with contextlib.suppress(ConnectionError):
                    await console.write_stdin(typed)
            if detached:
                return Ending.DETACHED
    except ConnectionError:
        return Ending.CLIENT_GONE
    if wanted.stdin:
        console.close_stdin()
    return None
