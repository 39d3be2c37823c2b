"""One build, as the solver knows it: whom to ask for directories and secrets, whom to tell, and what to let go of.

Whoever makes a job closes it (`async with`, or `close`) when the build is over, whichever way: until then directories
that the client sent, and all layers that the build has come by, are kept for it.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, TypeVar

from engine.core.model.container import HostConfig
from engine.domain.builder.progress import Progress
from engine.domain.builder.session import Session
from engine.domain.images.garbage import Needs
from engine.drivers.registry.credentials import Credentials

T = TypeVar("T")
NETWORK_HOST, INSECURE = "network.host", "security.insecure"


@dataclass(frozen=True, slots=True)
class CachePlace:
    """Where a cache is that others have made: an image's name, or a directory of the client's and a digest there."""

    reference: str = ""
    directory: str = ""
    digest: str = ""


@dataclass(slots=True, eq=False)
class Job:
    """A build. It is cancelled by cancelling the task that runs it.

    `host_config` limits its commands, as `POST /build` can; `credentials` are by registry, before those of the session.
    `seals`: what it makes will be exported as layers, whose archives take time. `strict_names`: owners of copies that
    have no account are an error, not root. `entitlements`: what its commands may do that is not for all.
    `resources`, `needs` and `runs` are
    the solver's.
    """

    ref: str
    session: Session
    progress: Progress
    no_cache: bool = False
    credentials: Mapping[str, Credentials] = field(default_factory=dict)
    host_config: HostConfig = field(default_factory=HostConfig)
    seals: bool = True
    cache_from: Sequence[CachePlace] = ()
    inline_cache: bool = False
    strict_names: bool = False
    entitlements: frozenset[str] = frozenset({NETWORK_HOST})
    resources: AsyncExitStack = field(default_factory=AsyncExitStack)
    needs: Needs = field(default_factory=Needs)
    runs: dict[str, Any] = field(default_factory=dict)
    _tasks: set["asyncio.Task[Any]"] = field(default_factory=set)

    def spawn(self, work: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
        """Let work go on for as long as the job; whoever awaits it should shield it, as others may wait for it too."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # Told to those who wait, if anybody does.

    async def close(self) -> None:
        """End what still goes on and let go of everything. Idempotent."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.resources.aclose()

    async def __aenter__(self) -> "Job":
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.shield(asyncio.ensure_future(self.close()))

    async def credentials_for(self, host: str) -> Credentials | None:
        """Return what the client uses for a registry, or None."""
        return self.credentials.get(host) or await self.session.credentials(host)
