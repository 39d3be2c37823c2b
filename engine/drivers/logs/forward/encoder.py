"""What the encoders have in common: their interface, and times as integers. Pure."""

import calendar
import time
from collections.abc import Sequence
from typing import Protocol

from engine.drivers.logs.forward.entries import Entry

_SECOND = 1_000_000_000


class Encoder(Protocol):
    """Turns entries into the packets of one protocol, each of them complete in itself."""

    def encode(self, entries: Sequence[Entry]) -> list[bytes]:
        """Return the packets, in order; an entry may take none or several."""


def nanoseconds(stamp: bytes) -> int:
    """Return the instant of a record's time (`2026-11-24T20:12:42.642034290`, UTC)."""
    seconds = calendar.timegm(time.strptime(stamp[:19].decode(), "%Y-%m-%dT%H:%M:%S"))
    return seconds * _SECOND + int(stamp[20:29])


class Clock:
    """`nanoseconds` for stamps that come in order: a second is parsed once."""

    def __init__(self) -> None:
        self._second = b""
        self._base = 0

    def read(self, stamp: bytes) -> int:
        """Return the instant in nanoseconds since the epoch."""
        if stamp[:19] != self._second:
            self._second = stamp[:19]
            self._base = nanoseconds(self._second + b".000000000")
        return self._base + int(stamp[20:29])
