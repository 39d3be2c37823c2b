"""`docker stats`: what a container uses now, with the sample before it, so that clients can tell rates.

The first answer comes at once. dockerd lets the client wait until it has two samples a second apart; here the sample of
an earlier request serves as the one before, or two are taken in quick succession.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.core import times
from engine.core.model.container import Container, Status
from engine.core.model.resources import HostCpu, InterfaceCounters, ResourceUsage
from engine.domain.containers.table import ContainerTable
from engine.drivers.cgroups.cgroups import Cgroups

_INTERVAL = 1.0
# Long enough for the host's CPU time, which the kernel tells in hundredths of a second, to mean something.
_QUICK = 0.1
_STALE = 60 * 1_000_000_000
_KNOWN = 4096
# What the kernel puts into each network namespace where those modules are loaded.
_NOT_OURS = frozenset(
    {"lo", "tunl0", "sit0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6tnl0", "ip6gre0"}
)
_FIELDS = {"rx_bytes": 0, "rx_packets": 1, "rx_errors": 2, "rx_dropped": 3}
_SENT = 8  # Of these fields, the first that is about sending.


@dataclass(frozen=True, slots=True)
class Sample:
    """What was read at an instant; without `usage`, the container did not run."""

    read: int = 0
    usage: ResourceUsage | None = None
    host: HostCpu = field(default_factory=HostCpu)
    networks: Mapping[str, InterfaceCounters] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stats:
    """An answer: a container, its sample, and the one before (an empty one where there is none)."""

    container: Container
    now: Sample
    before: Sample = Sample()


class StatsReader:
    """Takes samples and remembers the last of each container."""

    def __init__(self, table: ContainerTable, cgroups: Cgroups) -> None:
        self._table = table
        self._cgroups = cgroups
        self._last: dict[str, tuple[int, Sample]] = {}

    async def now(self, reference: str) -> Stats:
        """Return one sample without one before it. Raises ContainerNotFound."""
        container = self._table.get(reference)
        return Stats(container, await self._sample(container))

    async def rates(self, reference: str) -> Stats:
        """Return a sample and one before it. Raises ContainerNotFound."""
        container = self._table.get(reference)
        before = self._before(container)
        if before is None:
            before = await self._sample(container)
            if before.usage is not None:
                await asyncio.sleep(_QUICK)
        return Stats(container, await self._sample(container), before)

    async def follow(self, reference: str) -> AsyncGenerator[Stats, None]:
        """Yield an answer each second until the container is removed. Raises ContainerNotFound."""
        container: Container | None = self._table.get(reference)
        before = self._before(container) if container else None
        while container is not None:
            now = await self._sample(container)
            yield Stats(container, now, before or Sample())
            before = now
            await asyncio.sleep(_INTERVAL)
            container = self._table.find(container.id)

    def _before(self, container: Container) -> Sample | None:
        """Return the last sample of this run of the container, where it is not too old to tell of the present."""
        pid, sample = self._last.get(container.id, (0, Sample()))
        fresh = pid == container.state.pid and times.now() - sample.read < _STALE
        return sample if fresh and sample.usage is not None else None

    async def _sample(self, container: Container) -> Sample:
        if container.state.status not in (Status.RUNNING, Status.PAUSED):
            self._last.pop(container.id, None)
            return Sample()
        sample = await asyncio.to_thread(self._read, container)
        self._last.pop(container.id, None)
        while len(self._last) >= _KNOWN:
            del self._last[next(iter(self._last))]
        self._last[container.id] = (container.state.pid, sample)
        return sample

    def _read(self, container: Container) -> Sample:
        """Blocks; call in a thread."""
        pid = container.state.pid
        usage = self._cgroups.usage(container.id, pid)
        if usage is None:
            return Sample()
        host_network = container.host_config.network_mode == "host"
        networks = {} if host_network or container.config.network_disabled else interfaces(_net_dev(pid))
        return Sample(times.now(), usage, self._cgroups.host_cpu(), networks)


def _net_dev(pid: int) -> str:
    """Blocks; call in a thread."""
    try:
        return Path(f"/proc/{pid}/net/dev").read_text()
    except OSError:
        return ""


def interfaces(net_dev: str) -> dict[str, InterfaceCounters]:
    """Return the counters of a namespace's interfaces, from its /proc/net/dev (proc(5)); loopback is left out."""
    found = {}
    for line in net_dev.splitlines()[2:]:
        name, _, values = line.partition(":")
        counters = [int(value) for value in values.split()]
        if (name := name.strip()) not in _NOT_OURS and len(counters) > _SENT + 3:
            received = {key: counters[at] for key, at in _FIELDS.items()}
            sent = {f"t{key[1:]}": counters[_SENT + at] for key, at in _FIELDS.items()}
            found[name] = InterfaceCounters(**received, **sent)
    return found
