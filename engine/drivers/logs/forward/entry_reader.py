"""What a log plugin gives back, as chunks for `docker logs`."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

from engine.core import times
from engine.drivers.logs.forward.log_entry import LogEntryDecoder
from engine.drivers.logs.options import STDERR, STDOUT, LogChunk, LogOptions

_STREAMS = {"stdout": STDOUT, "stderr": STDERR}


async def chunks(stream: AsyncIterator[bytes], options: LogOptions) -> AsyncGenerator[LogChunk, None]:
    """Yield the output in the stream's messages; lines end where the plugin ends them. Raises ValueError."""
    decoder = LogEntryDecoder()
    async for data in stream:
        for message in decoder.feed(data):
            if options.until and message.time_nano > options.until:
                return
            for chunk in _shown(message, options):
                yield chunk
    decoder.finish()


def _shown(message: Any, options: LogOptions) -> Iterator[LogChunk]:
    """A plugin should have left out what was not asked for; dockerd looks again."""
    stream = _STREAMS.get(message.source, 0)
    wanted = (stream == STDOUT and options.stdout) or (stream == STDERR and options.stderr)
    if not wanted or message.time_nano < options.since:
        return
    # Messages carry no attributes: only the blank behind them is left.
    text = (b" " if options.details else b"") + message.line
    if options.timestamps:
        text = f"{_stamp(message.time_nano)} ".encode() + text
    yield LogChunk(0, options.frame(stream, text)) if options.frame else LogChunk(stream, text)


def _stamp(instant: int) -> str:
    """Like RFC 3339, with all nine digits."""
    text = times.rfc3339(instant - instant % 1_000_000_000)
    return f"{text[:19]}.{instant % 1_000_000_000:09d}Z"
