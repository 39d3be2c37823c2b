"""Syslog messages: the BSD form that dockerd sends by default, RFC 3164, RFC 5424. Pure.

What dockerd's own library writes, byte for byte, with two exceptions: the time is that of the line, not that of its
sending, and lines are never doubled. Source: recorded from dockerd 28.5.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from engine.drivers.logs.forward.encoder import Clock
from engine.drivers.logs.forward.entries import Entry
from engine.drivers.logs.options import STDERR

_ERROR, _INFORMATIONAL = 3, 6
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class SyslogForm:
    """`format` is empty or `rfc3164`, `rfc5424`, `rfc5424micro`; `counted`: each message begins with its length."""

    tag: str
    format: str = ""
    facility: int = 3
    counted: bool = False


class SyslogEncoder:
    """One container's messages."""

    def __init__(self, form: SyslogForm, hostname: str) -> None:
        self._form = form
        self._clock = Clock()
        self._second, self._stamp, self._zone = -1, "", ""
        self._headers = {stream: _header(form, stream, hostname) for stream in (1, STDERR)}

    def encode(self, entries: Sequence[Entry]) -> list[bytes]:
        """Return one packet for each entry; empty lines are not sent, as in dockerd."""
        return [self._packet(entry) for entry in entries if entry.line]

    def _packet(self, entry: Entry) -> bytes:
        before, after = self._headers[entry.stream]
        packet = before + self._time(self._clock.read(entry.time)).encode() + after + entry.line
        if not packet.endswith(b"\n"):
            packet += b"\n"
        return b"%d %b" % (len(packet), packet) if self._form.counted else packet

    def _time(self, instant: int) -> str:
        seconds, nanos = divmod(instant, _SECOND)
        if seconds != self._second:
            self._second = seconds
            self._stamp, self._zone = _rfc3339(seconds) if self._form.format.startswith("rfc5424") else _bsd(seconds)
        fraction = f".{nanos // 1000:06d}" if self._form.format == "rfc5424micro" else ""
        return self._stamp + fraction + self._zone


def _header(form: SyslogForm, stream: int, hostname: str) -> tuple[bytes, bytes]:
    """Return what stands before and behind the time."""
    priority = form.facility << 3 | (_ERROR if stream == STDERR else _INFORMATIONAL)
    pid, tag = os.getpid(), form.tag
    if form.format.startswith("rfc5424"):
        return f"<{priority}>1 ".encode(), f" {hostname} {tag} {pid} {tag} - ".encode()
    host = f"{hostname} " if form.format == "rfc3164" else ""
    return f"<{priority}>".encode(), f" {host}{tag}[{pid}]: ".encode()


def _bsd(seconds: int) -> tuple[str, str]:
    """Local time, as RFC 3164 wants it: `Nov  4 08:05:09`, and no zone."""
    local = time.localtime(seconds)
    day = f"{_MONTHS[local.tm_mon - 1]} {local.tm_mday:2d}"
    return f"{day} {local.tm_hour:02d}:{local.tm_min:02d}:{local.tm_sec:02d}", ""


def _rfc3339(seconds: int) -> tuple[str, str]:
    local = datetime.fromtimestamp(seconds, UTC).astimezone()
    zone = local.strftime("%z")
    return local.strftime("%Y-%m-%dT%H:%M:%S"), "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:5]}"
