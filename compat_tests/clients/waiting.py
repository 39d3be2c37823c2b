"""Waiting on a condition instead of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(probe: Callable[[], T], timeout: float = 10.0, what: str = "", interval: float = 0.02) -> T:
    """Call `probe` until it returns something true, and return that; AssertionError after `timeout` seconds.

    An AssertionError that the probe raises counts as "not yet"; the last one is shown.
    """
    deadline = time.monotonic() + timeout
    last: object = None
    while True:
        try:
            last = result = probe()
            if result:
                return result
        except AssertionError as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or probe}; last: {last!r}")
        time.sleep(interval)
