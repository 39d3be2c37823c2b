"""Other containers that a new one names: whose namespaces it joins, whose volumes it takes, which it links to."""

from collections.abc import Sequence

import msgspec

from engine.core.errors import NotFound
from engine.core.model.container import HostConfig, MountPoint
from engine.domain.containers.failures import EmptyReference, LinkTargetMissing, PeerMissing
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
        return msgspec.structs.replace(host_config, links=[self._link(text) for text in host_config.links])

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
