"""Numbers with units, as Docker's clients and messages write them."""

import re

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kKmMgGtTpP])?[iI]?[bB]?")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def human_size(size: float) -> str:
    """Format bytes with decimal units and four significant digits, as go-units' HumanSize (`30.01MB`)."""
    step = 0
    while size >= 1000 and step < len(_DECIMAL) - 1:
        size /= 1000
        step += 1
    return f"{size:.4g}{_DECIMAL[step]}"


def ram_in_bytes(text: str) -> int:
    """Parse a size with binary units (`64m` is 64 MiB), as go-units' RAMInBytes. Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"invalid size: '{text}'")
    number, unit = match.groups()
    return int(float(number) * 1024 ** _POWERS[(unit or "").lower()])


def human_duration(seconds: float) -> str:
    """Format a duration as go-units' HumanDuration, for the Status column of `docker ps`."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    return _human_hours(round(seconds / 3600))


def _human_hours(hours: int) -> str:
    if hours == 1:
        return "About an hour"
    for limit, divisor, name in (
        (48, 1, "hours"),
        (24 * 7 * 2, 24, "days"),
        (24 * 30 * 2, 168, "weeks"),
        (24 * 365 * 2, 720, "months"),
    ):
        if hours < limit:
            return f"{hours // divisor} {name}"
    return f"{hours // 8760} years"
