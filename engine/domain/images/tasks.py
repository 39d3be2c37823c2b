"""Pieces of work that stand and fall together."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


async def stop(*futures: "asyncio.Future[Any]") -> None:
    """Cancel what still runs and wait for its end."""
    for future in futures:
        if not future.done():
            future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)


async def run_all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run everything at once; the first error stops the rest and is raised as it is."""
    tasks = [asyncio.ensure_future(w) for w in work]
    try:
        if tasks:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        failed = failure(tasks)
        await stop(*tasks)
    if failed is not None:
        raise failed


def failure(futures: "Iterable[asyncio.Future[Any]]") -> BaseException | None:
    """Return the error of one that has failed, None where there is none."""
    return next((e for f in futures if f.done() and not f.cancelled() and (e := f.exception())), None)
