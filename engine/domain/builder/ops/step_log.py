"""The output of a command on its way to the build's progress, cut where it is too much, as BuildKit does."""

import math
import time

from engine.domain.builder.progress import LogEvent
from engine.domain.builder.solver.executors import Report

SIZE = 2 << 20
SPEED = 200 << 10


class StepLog:
    """Passes on at most SIZE bytes, and SPEED bytes for each second that the command runs."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._began = time.monotonic()
        self._passed = 0
        self._clipped = False

    def __call__(self, stream: int, data: bytes) -> None:
        """Take output."""
        seconds = max(math.ceil(time.monotonic() - self._began), 1)
        limit, reason = min((seconds * SPEED, "200KiB/s"), (SIZE, "2MiB"))
        allowed = data[: max(limit - self._passed, 0)]
        self._passed += len(allowed)
        if allowed:
            self._clipped = False
            self._report(LogEvent("", stream, allowed))
        if len(allowed) < len(data) and not self._clipped:
            self._clipped = True
            self._report(LogEvent("", stream, f"[output clipped, log limit {reason} reached]\n".encode()))
