"""Time as Docker shows it.

Inside the daemon an instant is an `int`: nanoseconds since the Unix epoch, 0 for "never".
"""

import re
import time
from datetime import UTC, datetime

ZERO = "0001-01-01T00:00:00Z"
_SECOND = 1_000_000_000
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:?\d\d)?")


def now() -> int:
    """Return the present instant in nanoseconds since the epoch."""
    return time.time_ns()


def rfc3339(instant: int) -> str:
    """Format as Go's RFC3339Nano in UTC: trailing zeros of the fraction dropped; year 1 for "never"."""
    if not instant:
        return ZERO
    seconds, nanos = divmod(instant, _SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{nanos:09d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def parse_rfc3339(text: str) -> int:
    """Return the instant that an RFC 3339 text names. Raises ValueError."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    day, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in (None, "Z", "z") else zone
    seconds = int(datetime.fromisoformat(f"{day}T{clock}{zone}").timestamp())
    return 0 if text.startswith("0001-01-01") else seconds * _SECOND + int((fraction or "0").ljust(9, "0")[:9])


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_DURATION_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "ms": 10**6, "s": _SECOND, "m": 60 * _SECOND, "h": 3600 * _SECOND}


def parse_duration(text: str) -> int:
    """Return the nanoseconds of a Go duration such as `1h30m`. Raises ValueError."""
    parts = _DURATION.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text.removeprefix("-"):
        raise ValueError(f"not a duration: {text!r}")
    total = sum(int(float(number) * _DURATION_UNITS[unit]) for number, unit in parts)
    return -total if text.startswith("-") else total


def duration(nanoseconds: int) -> str:
    """Format as Go's Duration, from microseconds up: `1m30s`, `300ms`, `1.5s`."""
    if nanoseconds < _SECOND:
        unit, name = (1_000_000, "ms") if nanoseconds >= 1_000_000 else (1000, "µs")
        return f"{nanoseconds / unit:.9g}{name}"
    minutes, rest = divmod(nanoseconds, 60 * _SECOND)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest // _SECOND}.{rest % _SECOND:09d}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def parse_instant(text: str) -> int:
    """Return the instant of Unix seconds (with a fraction), an RFC 3339 time, or a Go duration before now.

    Raises ValueError.
    """
    whole, _, fraction = text.partition(".")
    if whole.isdigit() and (fraction.isdigit() or not fraction):
        return int(whole) * _SECOND + int((fraction or "0").ljust(9, "0")[:9])
    try:
        return now() - parse_duration(text)
    except ValueError:
        return parse_rfc3339(text if len(text) > 10 else f"{text}T00:00:00Z")
