"""`--chmod`: octal digits, or symbols as chmod(1) has them (`u=rwX,go=rX`)."""

import re
import stat

from engine.drivers.confine.failures import CopyRefused

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=][rwxXstugo]*)+)")
_ACTION = re.compile(r"([-+=])([rwxXstugo]*)")
_SHIFTS = {"u": 6, "g": 3, "o": 0}
_SPECIAL = {"u": stat.S_ISUID, "g": stat.S_ISGID, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}


def changed(text: str, mode: int) -> int:
    """Return the permission bits that a file of mode `mode` gets. Raises CopyRefused."""
    if re.fullmatch(r"[0-7]{1,5}", text):
        return int(text, 8) & 0o7777
    permissions = stat.S_IMODE(mode)
    # As BuildKit: what `X` asks for is what the file was before all clauses.
    executable = stat.S_ISDIR(mode) or bool(mode & 0o111)
    for clause in text.split(","):
        match = _CLAUSE.fullmatch(clause)
        if match is None:
            raise CopyRefused(f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777")
        for operator, symbols in _ACTION.findall(match[2]):
            permissions = _applied(permissions, match[1] or "a", operator, symbols, executable=executable)
    return permissions


def _applied(permissions: int, who: str, operator: str, symbols: str, *, executable: bool) -> int:
    classes = "ugo" if "a" in who else who
    bits, mask = 0, 0
    for name in dict.fromkeys(classes):
        shift = _SHIFTS[name]
        mask |= 7 << shift
        bits |= _class_bits(permissions, symbols, executable=executable) << shift
        bits |= _special(name, symbols)
        if not set(symbols) & _SHIFTS.keys():  # What is copied from another class leaves these alone.
            mask |= _SPECIAL[name]
    if operator == "+":
        return permissions | bits
    return permissions & ~bits if operator == "-" else (permissions & ~mask) | bits


def _class_bits(permissions: int, symbols: str, *, executable: bool) -> int:
    bits = 0
    for symbol in symbols:
        if symbol in _BITS:
            bits |= _BITS[symbol]
        elif symbol == "X" and executable:
            bits |= 1
        elif symbol in _SHIFTS:
            bits |= permissions >> _SHIFTS[symbol] & 7
    return bits


def _special(name: str, symbols: str) -> int:
    bits = 0
    if "s" in symbols:
        bits |= _SPECIAL[name]
    if "t" in symbols and name != "o":
        bits |= stat.S_ISVTX
    return bits
