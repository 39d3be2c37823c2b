"""The process of an exec: what `docker exec` asks for, resolved in the running container as it is now."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.core.model.container import Container
from engine.core.model.exec import ExecConfig
from engine.domain.containers.host import Host
from engine.domain.containers.spec.process import ExecRequest, exec_process
from engine.domain.containers.users import ResolvedUser, resolve_user
from engine.drivers.cgroups.cgroups import Cgroups
from engine.drivers.confine.confine import Confine
from engine.drivers.runtime.oci import OciRuntime, Runtimes

_ACCOUNT_FILE_LIMIT = 8 << 20


class ExecProcess:
    """Makes OCI process objects for execs."""

    def __init__(self, host: Host, runtimes: Runtimes, confine: Confine, cgroups: Cgroups) -> None:
        self._host = host
        self._runtimes = runtimes
        self._confine = confine
        self._cgroups = cgroups

    def runtime(self, container: Container) -> OciRuntime:
        """Return the runtime that runs the container. Raises UnknownRuntime."""
        return self._runtimes.get(container.host_config.runtime)

    def expect(self) -> None:
        """Make ready for a process that will run in a moment, or may. Returns at once."""
        self._cgroups.forewarn()

    def started(self, monitor_pid: int) -> None:
        """Look after what monitors a process that was started."""
        self._cgroups.shelter(monitor_pid)

    async def build(self, container: Container, config: ExecConfig) -> dict[str, Any]:
        """Return the process object. Raises UnableToFindUser, UnableToFindGroup, IdOutOfRange, InvalidParameter."""
        self.expect()
        user = config.user or container.config.user
        resolved = await self._user(container.state.pid, user, container.host_config.group_add or ())
        host = self._host
        linked = host.link_environment(container)
        return exec_process(ExecRequest(container, config, resolved, host.facts, host.default_ulimits, linked))

    async def _user(self, pid: int, user: str, groups: Sequence[str]) -> ResolvedUser:
        """The account files are those that the container's processes see: the tree may have changed since its start."""
        root = Path(f"/proc/{pid}/root")
        passwd, group = await asyncio.gather(
            self._confine.read_file(root, "/etc/passwd", _ACCOUNT_FILE_LIMIT),
            self._confine.read_file(root, "/etc/group", _ACCOUNT_FILE_LIMIT),
        )
        return resolve_user(user, passwd or b"", group or b"", groups)
