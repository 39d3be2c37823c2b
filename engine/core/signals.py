"""Signals by name and by number, as Docker's clients write them: `SIGTERM`, `term`, `15`, `SIGRTMIN+3`."""

import re
import signal

from engine.core.errors import InvalidParameter

# The numbers are those of x86 and Arm; glibc keeps two real-time signals for itself, so SIGRTMIN is 34.
_RTMIN, _RTMAX = 34, 64
_RESERVED = (32, 33)
_EXTRA = {"CLD": signal.SIGCHLD, "POLL": signal.SIGIO, "IOT": signal.SIGABRT, "STKFLT": 16}
_REAL_TIME = re.compile(r"RT(MIN|MAX)(?:([+-])(\d{1,2}))?")


class InvalidSignal(InvalidParameter):
    """The text names no signal."""

    def __init__(self, text: str, prefix: str = "") -> None:
        super().__init__(f"{prefix}invalid signal: {text}")


class UnsupportedSignal(InvalidParameter):
    """A number that Linux gives to no signal that one may send."""

    def __init__(self, number: int, prefix: str = "") -> None:
        super().__init__(f"{prefix}the linux daemon does not support signal {number}")


def _names() -> dict[str, int]:
    names = {s.name.removeprefix("SIG"): int(s) for s in signal.Signals if not s.name.startswith("SIGRT")}
    return names | {name: int(number) for name, number in _EXTRA.items()}


_NUMBERS = _names()


def parse_signal(text: str, *, prefix: str = "") -> int:
    """Return the number of a signal. Raises InvalidSignal, UnsupportedSignal with dockerd's texts behind `prefix`."""
    name = text.upper().removeprefix("SIG")
    number = _decimal(text) or _NUMBERS.get(name, 0) or _real_time(name)
    if not number:
        raise InvalidSignal(text, prefix)
    if not 0 < number <= _RTMAX or number in _RESERVED:
        raise UnsupportedSignal(number, prefix)
    return number


def _decimal(text: str) -> int:
    return int(text) if re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII) else 0


def _real_time(name: str) -> int:
    match = _REAL_TIME.fullmatch(name)
    if match is None:
        return 0
    end, sign, offset = match.groups()
    number = (_RTMIN if end == "MIN" else _RTMAX) + int(f"{sign or '+'}{offset or 0}")
    return number if _RTMIN <= number <= _RTMAX else 0
