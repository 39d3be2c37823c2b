"""`docker top`: what `ps` on the host says of the container's processes."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from engine.core.errors import Internal
from engine.core.model.container import Status
from engine.domain.containers.announce import Announcer
from engine.domain.containers.failures import NotRunning
from engine.domain.containers.table import ContainerTable
from engine.drivers.cgroups.cgroups import Cgroups
from engine.drivers.linux import proc


class NoPidColumn(Internal):
    """The client's ps options leave out what the answer is filtered by."""

    def __init__(self) -> None:
        super().__init__("Couldn't find PID field in ps output")


class PsFailed(Internal):
    """The host's ps refused."""

    def __init__(self, reason: str) -> None:
        super().__init__("ps: " + reason.partition("\n")[0])


class PsArgumentRefused(Internal):
    """Another column under the name PID cannot be told from the real one; dockerd answers 500."""

    def __init__(self, argument: str) -> None:
        super().__init__(f'specifying "{argument}" is not allowed')


@dataclass(frozen=True, slots=True)
class Processes:
    """Column titles and one row a process."""

    titles: list[str]
    rows: list[list[str]]


class Top:
    """Lists the processes of containers."""

    def __init__(self, table: ContainerTable, cgroups: Cgroups, announcer: Announcer) -> None:
        self._table = table
        self._cgroups = cgroups
        self._announcer = announcer

    async def processes(self, reference: str, arguments: str) -> Processes:
        """Run ps with the client's arguments (default `-ef`) and keep the container's rows. Raises NotRunning."""
        _require_harmless(arguments)
        container = self._table.get(reference)
        if container.state.status not in (Status.RUNNING, Status.PAUSED):
            raise NotRunning(container.id)
        pids = await self._cgroups.pids(container.id, container.state.pid)
        command = ["ps", *(arguments or "-ef").split()]
        done = await proc.run([*command, f"-q{','.join(map(str, pids))}"]) if pids else await proc.run(command)
        if done.returncode != 0:  # Some options, such as `f`, do not go with `-q`.
            done = await proc.run(command)
        if done.returncode != 0:
            raise PsFailed(done.error or f"exit status {done.returncode}")
        self._announcer.container(container, "top")
        return parse_ps(done.stdout.decode(errors="replace"), pids)


def _require_harmless(arguments: str) -> None:
    for name, title in re.findall(r"\s+(\S*)=\s*(PID\S*)", arguments):
        if name != "pid":
            raise PsArgumentRefused(f"{name}={title}")


def parse_ps(output: str, pids: Iterable[int]) -> Processes:
    """Keep the rows of `pids`; the last column holds the rest of its line. Raises NoPidColumn."""
    lines = output.splitlines()
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise NoPidColumn
    column, wanted = titles.index("PID"), {str(p) for p in pids}
    rows = (line.split(None, len(titles) - 1) for line in lines[1:])
    return Processes(titles, [row for row in rows if len(row) > column and row[column] in wanted])
