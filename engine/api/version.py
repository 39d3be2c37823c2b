"""API versions: which ones are spoken, and what a client hears that asks for another.

Source: Engine API, "Versioning"; the texts are dockerd's.
"""

import re

from engine.core.errors import InvalidParameter

Version = tuple[int, int]
NEWEST: Version = (1, 51)
OLDEST: Version = (1, 24)
_FORM = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")


def shown(version: Version) -> str:
    """Return a version as clients write it: `1.51`."""
    return f"{version[0]}.{version[1]}"


class TooNew(InvalidParameter):
    """The client speaks a version that this daemon has not heard of."""

    def __init__(self, asked: str) -> None:
        super().__init__(f"client version {asked} is too new. Maximum supported API version is {shown(NEWEST)}")


class TooOld(InvalidParameter):
    """The client speaks a version that is no longer spoken here."""

    def __init__(self, asked: str) -> None:
        super().__init__(
            f"client version {asked} is too old. Minimum supported API version is {shown(OLDEST)}, "
            "please upgrade your client to a newer version"
        )


def require_spoken(text: str) -> Version:
    """Return the version of a path's prefix; none means the newest. Raises TooNew, TooOld."""
    if not text:
        return NEWEST
    match = _FORM.fullmatch(text)
    version = (int(match[1]), int(match[2])) if match else (int(text.partition(".")[0] or 0), 0)
    if version > NEWEST:
        raise TooNew(text)
    if version < OLDEST:
        raise TooOld(text)
    return version
