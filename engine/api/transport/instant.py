"""Answers to `/_ping`, made at once from the bytes that came: clients send one before nearly every command.

Only a plain request is answered here, one without a body or anything else that needs a parser. All others, and all
requests of a daemon that must ask authorization plugins, take the long way; the answer is the same.
"""

import re
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate

from engine.api.version import NEWEST, OLDEST

_PING = re.compile(
    rb"(GET|HEAD) (?:/v1\.([0-9]{2}))?/_ping HTTP/1\.1\r\n((?:[!#-'*+.0-9A-Z^-z|~-]+:[^\r\n\0]*\r\n)+)\r\n"
)
_MAX_BYTES = 4096
# What has a body or changes the connection is for the parser to judge; so is what breaks RFC 9112: no host, or two.
_SPECIAL = re.compile(rb"^(?:connection|content-length|expect|transfer-encoding|upgrade):", re.M | re.I)
_HOST = re.compile(rb"^host:", re.M | re.I)


class InstantAnswers:
    """The ping's answer, byte for byte what the handler's would be."""

    def __init__(self, headers: Mapping[str, str], allowed: Callable[[], bool] = lambda: True) -> None:
        """`allowed` tells whether such answers may be given at the moment."""
        self._allowed = allowed
        self._head = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
        self._second = 0
        self._get = self._headless = b""

    def answer(self, data: bytes) -> bytes | None:
        """Return the answer to a request, if `data` is exactly one plain ping."""
        if len(data) > _MAX_BYTES or not self._allowed() or (found := _PING.fullmatch(data)) is None:
            return None
        method, minor, headers = found.groups()
        if minor is not None and not OLDEST[1] <= int(minor) <= NEWEST[1]:
            return None
        if _SPECIAL.search(headers) or len(_HOST.findall(headers)) != 1:
            return None
        if (second := int(time.time())) != self._second:
            self._make(second)
        return self._get if method == b"GET" else self._headless

    def _make(self, second: int) -> None:
        common = b"HTTP/1.1 200 OK\r\n" + self._head + f"Date: {formatdate(second, usegmt=True)}\r\n".encode()
        self._get = common + b"Content-Length: 2\r\n\r\nOK"
        self._headless = common + b"Content-Length: 0\r\n\r\n"
        self._second = second
