"""A context that comes as an archive, plain or compressed, into a directory; everything in it belongs to root."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from engine.core import os_errors
from engine.domain.builder.classic.failures import ContextUnreadable
from engine.drivers.confine.archives import PutOptions, View
from engine.drivers.confine.confine import Confine
from engine.drivers.confine.failures import ArchiveRefused
from engine.drivers.linux.pipes import Pipe, feed


async def receive(confine: Confine, target: Path, chunks: AsyncIterator[bytes]) -> None:
    """Unpack an archive. Raises ContextUnreadable."""
    with Pipe() as pipe:
        work = asyncio.ensure_future(confine.archives.put(View(target), "/", pipe.reader, PutOptions(owner=(0, 0))))
        feeding = asyncio.ensure_future(feed(pipe.writer, chunks))
        try:
            await asyncio.wait((work, feeding), return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                feeding.result()
                pipe.close_writer()
            answer = await work
        except ArchiveRefused as error:
            raise ContextUnreadable(str(error)) from error
        except OSError as error:
            raise ContextUnreadable(os_errors.reason(error)) from error
        finally:
            for task in (feeding, work):
                task.cancel()
            await asyncio.wait((feeding, work))
    if answer.get("error"):
        raise ContextUnreadable(str(answer["error"]))
