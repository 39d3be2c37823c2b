"""`docker commit`: what a container has changed becomes a layer, and with its configuration an image."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from engine.core.errors import WharfError
from engine.core.model.container import Container, ContainerConfig, Status
from engine.core.references import Reference
from engine.domain.containers.announce import Announcer
from engine.domain.containers.failures import EmptyReference
from engine.domain.containers.stop import Stopper
from engine.domain.containers.table import ContainerTable
from engine.domain.images import changes
from engine.domain.images.commit import CommitOptions, Committer
from engine.drivers.confine.confine import Confine
from engine.drivers.linux.pipes import output_of
from engine.drivers.storage.overlay import OverlayDriver

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CommitRequest:
    """What a client asks for; `config` None: the container's own."""

    name: Reference | None = None
    config: ContainerConfig | None = None
    changes: Sequence[str] = ()
    author: str = ""
    comment: str = ""
    pause: bool = True


@dataclass(frozen=True, slots=True)
class CommitParts:
    """What a commit needs of others."""

    stopper: Stopper
    images: Committer
    overlay: OverlayDriver
    confine: Confine
    announcer: Announcer


class ContainerCommitter:
    """Makes images of containers."""

    def __init__(self, table: ContainerTable, parts: CommitParts) -> None:
        self._table = table
        self._parts = parts

    async def commit(self, reference: str, request: CommitRequest) -> str:
        """Return the new image's id. Raises ContainerNotFound, NotAChange, InvalidChange, OSError."""
        if not reference:
            raise EmptyReference
        container, images = self._table.get(reference), self._parts.images
        config = changes.apply(request.config or container.config, request.changes)
        options = CommitOptions(
            request.name,
            completed(config, container.config),
            created_by=" ".join(container.config.cmd or ()),
            author=request.author,
            comment=request.comment,
        )
        base = images.base(container.image, container.manifest.digest if container.manifest else "")
        async with self._frozen(container, pause=request.pause):
            async with self._layer(container) as layer:
                image_id = await images.commit(base, options, layer)
            name = request.name.familiar if request.name else ""
            self._parts.announcer.container(
                container, "commit", comment=request.comment, imageID=image_id, imageRef=name
            )
        return image_id

    @asynccontextmanager
    async def _frozen(self, container: Container, *, pause: bool) -> AsyncIterator[None]:
        """Let no process of the container write meanwhile, where the client wishes so and they can be stopped."""
        frozen = pause and container.state.status is Status.RUNNING and await self._freeze(container)
        try:
            yield
        finally:
            if frozen:
                await asyncio.shield(asyncio.ensure_future(self._thaw(container)))

    async def _freeze(self, container: Container) -> bool:
        """Pause the container; tell whether that was possible. As with dockerd it need not be: it may have ended."""
        try:
            await self._parts.stopper.pause(container.id)
        except (WharfError, OSError) as error:
            log.info("commit of %s without a pause: %s", container.id, error)
            return False
        return True

    async def _thaw(self, container: Container) -> None:
        with contextlib.suppress(WharfError):  # Somebody may have thawed or killed it meanwhile.
            await self._parts.stopper.unpause(container.id)

    @asynccontextmanager
    async def _layer(self, container: Container) -> AsyncIterator[AsyncIterator[bytes] | None]:
        """Give the archive of the container's own layer; None where that is empty."""
        upper = self._parts.overlay.upper(container.id)
        if await asyncio.to_thread(_is_empty, upper):
            yield None
            return
        async with contextlib.aclosing(output_of(lambda output: self._parts.confine.pack(upper, output))) as archive:
            yield archive


def _is_empty(directory: Path) -> bool:
    """Blocks; call in a thread."""
    with os.scandir(directory) as entries:
        return next(entries, None) is None


def completed(config: ContainerConfig, container: ContainerConfig) -> ContainerConfig:
    """Return a configuration with the container's where it is silent (moby `runconfig.Merge`)."""
    entrypoint, cmd = config.entrypoint, config.cmd
    if not entrypoint:
        entrypoint, cmd = container.entrypoint, cmd or container.cmd
    given = {variable.partition("=")[0] for variable in config.env or ()}
    env = [*(config.env or ()), *(e for e in container.env or () if e.partition("=")[0] not in given)]
    ports = {**(container.exposed_ports or {}), **(config.exposed_ports or {})}
    volumes = {**(container.volumes or {}), **(config.volumes or {})}
    return msgspec.structs.replace(
        config,
        user=config.user or container.user,
        exposed_ports=ports or None,
        env=env or None,
        labels={**(container.labels or {}), **(config.labels or {})} or None,
        entrypoint=entrypoint,
        cmd=cmd,
        healthcheck=config.healthcheck or container.healthcheck,
        working_dir=config.working_dir or container.working_dir,
        volumes=volumes or None,
        stop_signal=config.stop_signal or container.stop_signal,
        shell=config.shell or container.shell,
    )
