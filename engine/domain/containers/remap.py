"""User namespaces per daemon (`--userns-remap`): whose containers get one, and what they may not do with it.

A container's files are reached through the mapped mount of the data directory (`drivers/storage/mapped.py`). Its
network namespace must belong to its user namespace: so the runtime makes it, and it is furnished before the start.
"""

from dataclasses import dataclass
from pathlib import Path

from engine.core.errors import InvalidParameter
from engine.core.model.container import Container, HostConfig
from engine.core.model.id_mapping import IdMapping
from engine.drivers.storage.mapped import MappedData


class SharesTooMuch(InvalidParameter):
    """An option that a container in a user namespace of its own cannot have."""


_PRIVILEGED = (
    "privileged mode is incompatible with user namespaces.  You must run the container in the host namespace when "
    "running privileged mode"
)


def require_allowed(host_config: HostConfig) -> None:
    """Raise SharesTooMuch for what a remapped container cannot have. Pure."""
    if host_config.userns_mode == "host":
        return
    for present, text in (
        (host_config.privileged, _PRIVILEGED),
        (
            host_config.network_mode == "host",
            "cannot share the host's network namespace when user namespaces are enabled",
        ),
        (host_config.pid_mode == "host", "cannot share the host PID namespace when user namespaces are enabled"),
    ):
        if present:
            raise SharesTooMuch(text)


@dataclass(frozen=True, slots=True)
class Remap:
    """The daemon's setting; `data` None: there is none."""

    data: MappedData | None = None

    def of(self, container: Container) -> IdMapping | None:
        """Return the mapping that a container gets, None where it runs with the host's own ids."""
        if self.data is None or container.host_config.userns_mode == "host":
            return None
        return self.data.mapping

    @property
    def mapping(self) -> IdMapping | None:
        """The mapping of all that asks for no other."""
        return None if self.data is None else self.data.mapping

    def path(self, container: Container, path: Path) -> Path:
        """Return where the container is to get something of ours from."""
        return path if self.data is None or self.of(container) is None else self.data.path(path)


NO_REMAP = Remap()


def runs_remapped(container: Container) -> bool:
    """Tell whether a running container has ids of its own. Blocks (procfs)."""
    try:
        return Path(f"/proc/{container.state.pid}/uid_map").read_text().split()[:2] != ["0", "0"]
    except OSError:
        return False
