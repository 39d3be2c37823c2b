"""Values as Go reads them from text, with Go's errors: dockerd hands these on to clients as they are. Pure.

All of them raise ValueError.
"""

import re

_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_PART = re.compile(r"([0-9]*\.?[0-9]*)([^0-9.]*)")
_UNITS = {"ns": 1, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9, "m": 60e9, "h": 3600e9}
_SIZE = re.compile(r"([0-9.eE+]*[0-9.]) ?([kKmMgGtTpP]?)([iI]?)[bB]?")
_POWERS = " kmgtp"


def parse_bool(text: str) -> bool:
    """Read a truth value."""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def parse_int(text: str) -> int:
    """Read an integer with an optional sign."""
    if _INTEGER.fullmatch(text):
        return int(text)
    raise ValueError(f'strconv.Atoi: parsing "{text}": invalid syntax')


def parse_uint(text: str, bits: int = 64) -> int:
    """Read a natural number below 2 to the power of `bits`."""
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) >= 1 << bits:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def parse_duration(text: str) -> int:
    """Read a duration such as `1m30s`; return nanoseconds."""
    rest = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    if rest == "0":
        return 0
    total = 0.0
    if not rest:
        raise ValueError(f'time: invalid duration "{text}"')
    while rest:
        match = _PART.match(rest)
        number, unit = match.groups() if match else ("", "")
        if not number.strip("."):
            raise ValueError(f'time: invalid duration "{text}"')
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        total += float(number) * _UNITS[unit]
        rest = rest[len(number) + len(unit) :]
    return -int(total) if text.startswith("-") else int(total)


def parse_size(text: str, base: int = 1024) -> int:
    """Read a size with a unit, of 1024 (RAMInBytes) or 1000 (FromHumanSize) of the next smaller one each."""
    match = _SIZE.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        return int(float(match[1]) * base ** _POWERS.index(match[2].lower() or " "))
    except ValueError:
        raise ValueError(f"invalid size: '{text}'") from None
