"""`docker attach`: clients on the standard streams of a container.

A client of a container that does not run yet waits for its start and is connected between creation and start of the
process, so that it sees the first byte. Each client has a console of its own at the monitor; with `StdinOnce`, the one
that brings stdin decides when it ends.
"""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from engine.core.model.container import Container, Status
from engine.domain.containers import detach_keys
from engine.domain.containers.announce import Announcer
from engine.domain.containers.bridge import Client, Ending, Wanted, carry
from engine.domain.containers.paths import ContainerPaths
from engine.domain.containers.table import ContainerTable
from engine.drivers.runtime.console import Console


@dataclass(slots=True)
class _Waiting:
    """Clients that came before the start."""

    consoles: list[asyncio.Future[Console]] = field(default_factory=list)


class Streams:
    """Connects attach clients with consoles."""

    def __init__(self, table: ContainerTable, paths: ContainerPaths, announcer: Announcer, spool: Path) -> None:
        self._table = table
        self._paths = paths
        self._announcer = announcer
        self._spool = spool
        self._waiting: dict[str, _Waiting] = {}

    async def open(self, container: Container) -> asyncio.Future[Console]:
        """Return a future of a console: done for a running container, else done by its next start."""
        future: asyncio.Future[Console] = asyncio.get_running_loop().create_future()
        if container.state.status in (Status.RUNNING, Status.PAUSED):
            future.set_result(await self._console(self._paths.bundle(container.id)))
        else:
            self._waiting.setdefault(container.id, _Waiting()).consoles.append(future)
        return future

    async def _console(self, bundle: Path) -> Console:
        return await Console.connect(bundle / "attach", self._spool, accepted=True)

    async def connect(self, container: Container, bundle: Path) -> None:
        """Connect the clients that wait for the start; called between creation and start of the process."""
        waiting = self._waiting.pop(container.id, _Waiting())
        for future in waiting.consoles:
            if not future.done():
                future.set_result(await self._console(bundle))

    def give_up(self, container_id: str) -> None:
        """Let the clients go that wait for a start that failed, or for a container that is gone."""
        for future in self._waiting.pop(container_id, _Waiting()).consoles:
            future.cancel()

    def abandon(self, opened: asyncio.Future[Console]) -> None:
        """Close what `open` gave, used or not."""
        if not opened.done():
            opened.cancel()
        elif not opened.cancelled():
            opened.result().close()

    async def attach(
        self, container: Container, opened: asyncio.Future[Console], client: Client, wanted: Wanted
    ) -> None:
        """Carry bytes until the container's output ends or the client leaves."""
        self._announcer.container(container, "attach")
        console = await _console_or_gone(opened, client)
        if console is None:
            return
        try:
            ending = await carry(console, client, wanted)
        finally:
            if _decides_input(container) and not wanted.stdin:
                console.linger()
        if ending is Ending.DETACHED:
            self._announcer.container(container, "detach")


async def _console_or_gone(opened: asyncio.Future[Console], client: Client) -> Console | None:
    """Wait for the start, but not longer than the client does."""
    gone = asyncio.ensure_future(client.gone())
    try:
        await asyncio.wait((opened, gone), return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            opened.cancel()
            return None
        return None if opened.cancelled() else opened.result()
    finally:
        gone.cancel()


def _decides_input(container: Container) -> bool:
    """Tell whether the monitor ends the container's input when a client leaves, whichever client."""
    config = container.config
    return config.open_stdin and config.stdin_once and not config.tty


def wanted_streams(container: Container, *, stdin: bool, stdout: bool, stderr: bool, keys: str) -> Wanted:
    """Return what a client takes part in; detach keys work on terminals only. Raises InvalidDetachKeys."""
    parsed = detach_keys.parse(keys)
    return Wanted(stdin and container.config.open_stdin, stdout, stderr, parsed if container.config.tty else b"")
