"""Identifiers: 64 hex digits, their 12-digit short form, and look-up by unique prefix."""

import re
import secrets
from collections.abc import Iterable

_FULL = re.compile(r"[0-9a-f]{64}")
_ALL_DIGITS = re.compile(r"[0-9]+")


def new_id() -> str:
    """Return a fresh identifier: 64 hex digits whose short form is not all decimal digits.

    A short form of decimal digits only would be read as a number where it serves as a host name (RFC 1123 hosts in
    `/etc/hosts` parsers), so Docker avoids it and so do we.
    """
    while True:
        candidate = secrets.token_hex(32)
        if not _ALL_DIGITS.fullmatch(candidate[:12]):
            return candidate


def short(identifier: str) -> str:
    """Return the 12-digit short form, without a leading `sha256:`."""
    return identifier.removeprefix("sha256:")[:12]


def is_full(text: str) -> bool:
    """Tell whether `text` is a complete identifier."""
    return _FULL.fullmatch(text) is not None


def matching(prefix: str, identifiers: Iterable[str]) -> list[str]:
    """Return the identifiers that begin with `prefix`; none for an empty prefix."""
    return [i for i in identifiers if i.startswith(prefix)] if prefix else []
