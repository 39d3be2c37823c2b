"""Other containers that a new one names: whose namespaces it joins, whose volumes it takes, which it links to."""

import contextlib
from collections.abc import Sequence

import msgspec

from engine.core.errors import NotFound
from engine.core.model.container import Container, HostConfig, MountPoint
from engine.domain.containers import links
from engine.domain.containers.failures import (
    EmptyReference,
    LinkTargetElsewhere,
    LinkTargetMissing,
    LinkTargetNotRunning,
    PeerMissing,
)
from engine.domain.containers.links import Link
from engine.domain.containers.network_modes import parse_link
from engine.domain.containers.table import ContainerTable
from engine.domain.containers.volume_spec import parse_volumes_from

_PREFIX = "container:"


class Peers:
    """Looks up the containers in a host configuration."""

    def __init__(self, table: ContainerTable) -> None:
        self._table = table

    def with_ids(self, host_config: HostConfig) -> HostConfig:
        """Return the modes `container:name` with the id in place of the name, which may change.

        A container whose network is to be joined need not exist before the start. Raises PeerMissing.
        """
        changes = {
            "ipc_mode": self._with_id(host_config.ipc_mode, required=len(host_config.ipc_mode) > len(_PREFIX)),
            "pid_mode": self._with_id(host_config.pid_mode, required=True),
            "network_mode": self._with_id(host_config.network_mode, required=False),
        }
        return msgspec.structs.replace(host_config, **changes)

    def _with_id(self, mode: str, *, required: bool) -> str:
        if not mode.startswith(_PREFIX):
            return mode
        try:
            return _PREFIX + self._table.get(mode.removeprefix(_PREFIX)).id
        except NotFound as error:
            if required:
                raise PeerMissing(str(error)) from error
            return mode

    def with_links(self, host_config: HostConfig) -> HostConfig:
        """Return the links as `name:alias`. Raises LinkTargetMissing, InvalidLink."""
        if not host_config.links:
            return host_config
        if not links.uses_links(host_config):
            return msgspec.structs.replace(host_config, links=None)
        found = msgspec.structs.replace(host_config, links=[self._link(text) for text in host_config.links])
        return links.with_targets(found, links.aliases(found))

    def linked(self, container: Container) -> list[Link]:
        """Return the containers that a container on the default bridge links to.

        Raises LinkTargetNotRunning, LinkTargetElsewhere.
        """
        if links.DEFAULT_BRIDGE not in container.networks:
            return []
        targets = links.aliases(container.host_config).items()
        return [self._running(container, alias, name) for alias, name in targets]

    def _running(self, container: Container, alias: str, name: str) -> Link:
        owner = self._table.name_owner(name)
        target = self._table.find(owner) if owner else None
        if target is None or not target.state.running:
            raise LinkTargetNotRunning(name, container.name, alias)
        if links.DEFAULT_BRIDGE not in target.networks:
            raise LinkTargetElsewhere(target.id)
        return Link(alias, target, target.networks[links.DEFAULT_BRIDGE].ip_address)

    def still_linked(self, container: Container) -> list[Link]:
        """Return the same without those that do not run any more."""
        found = []
        for alias, name in links.aliases(container.host_config).items():
            with contextlib.suppress(LinkTargetNotRunning, LinkTargetElsewhere):
                found.append(self._running(container, alias, name))
        return found if links.DEFAULT_BRIDGE in container.networks else []

    def linking_to(self, container: Container) -> list[tuple[Container, str]]:
        """Return the running containers that link to this one, and its alias there."""
        return [
            (parent, alias)
            for parent in self._table.all()
            if parent.host_config.links and parent.state.running
            for alias, name in links.aliases(parent.host_config).items()
            if name == container.name
        ]

    def _link(self, text: str) -> str:
        reference, alias = parse_link(text)
        if not reference:
            raise LinkTargetMissing(reference, f'invalid name or ID supplied: "{reference}"')
        try:
            name = self._table.get(reference).name
        except NotFound as error:
            raise LinkTargetMissing(reference, str(error)) from error
        return f"{name}:{alias or name}"

    def volumes(self, host_config: HostConfig) -> list[tuple[Sequence[MountPoint], bool]]:
        """Return the mounts of each container that `--volumes-from` names, and whether they stay writable.

        Raises PeerMissing, EmptyReference, InvalidVolumesFromMode.
        """
        found: list[tuple[Sequence[MountPoint], bool]] = []
        for entry in host_config.volumes_from or ():
            reference, writable = parse_volumes_from(entry)
            if not reference:
                raise EmptyReference
            try:
                found.append((self._table.get(reference).mounts, writable))
            except NotFound as error:
                raise PeerMissing(str(error)) from error
        return found
