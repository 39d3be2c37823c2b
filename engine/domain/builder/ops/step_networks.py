"""The networks of commands: a namespace on the default bridge, one without any interface, or the host's.

A command without special rights cannot change a namespace, so one serves many commands, one after another; it goes when
nobody has needed it for a while.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.core import ids
from engine.core.model.id_mapping import IdMapping
from engine.core.model.network import EndpointSettings
from engine.domain.builder.llb.ops import NetMode
from engine.domain.networks.networks import Networks
from engine.domain.networks.sandbox import SandboxRequest
from engine.drivers.linux.user_namespace import process_inside

_IDLE = 5.0
_NONE = "none"
_BRIDGE = "bridge"


class Namespaces(NamedTuple):
    """Paths of what a command runs in: its network (None: the host's), the user namespace that owns it (or empty)."""

    network: str | None
    user: str = ""


@dataclass(eq=False, slots=True)
class _Namespace:
    """A namespace that nobody uses at the moment. `owner`: a process in the user namespace that owns it, or 0."""

    holder: str
    path: str
    network: str
    owner: int = 0
    expiry: asyncio.TimerHandle | None = None
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)

    def paths(self) -> Namespaces:
        # runc reads the mapping of such paths only.
        return Namespaces(self.path, f"/proc/{self.owner}/ns/user" if self.owner else "")


def resolves_names(mode: NetMode, network: str) -> bool:
    """Tell whether the daemon's own resolver serves a command on that network."""
    return mode is NetMode.SANDBOX and network not in ("", "default", "host", _BRIDGE, _NONE)


class StepNetworks:
    """Lends namespaces; with a `mapping` each belongs to a user namespace of its own."""

    def __init__(self, networks: Networks, mapping: IdMapping | None = None) -> None:
        self._networks = networks
        self._mapping = mapping
        self._idle: list[_Namespace] = []
        self._removals: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def use(self, mode: NetMode, network: str, *, spoiled: bool) -> AsyncIterator[Namespaces]:
        """Lend a namespace. `network` is used where the mode leaves it open.

        A `spoiled` one is changed by its command and serves no other. Raises WharfError.
        """
        if mode is NetMode.HOST or (mode is NetMode.SANDBOX and network == "host"):
            yield Namespaces(None)
            return
        wanted = _NONE if mode is NetMode.NONE else network if network not in ("", "default") else _BRIDGE
        namespace = self._taken(wanted) or await self._made(wanted)
        try:
            yield namespace.paths()
        finally:
            if spoiled or wanted not in (_BRIDGE, _NONE):
                self._remove(namespace)
            else:
                self._keep(namespace)

    def _taken(self, network: str) -> _Namespace | None:
        for namespace in self._idle:
            if namespace.network == network:
                self._idle.remove(namespace)
                if namespace.expiry is not None:
                    namespace.expiry.cancel()
                return namespace
        return None

    async def _made(self, network: str) -> _Namespace:
        holder = ids.new_id()
        # Names are resolved on networks that users have made, as for containers.
        names = [] if network in (_BRIDGE, _NONE) else [f"build-{holder[:12]}"]
        endpoint = EndpointSettings(dns_names=names or None)
        request = SandboxRequest(holder, f"build-{holder[:12]}", networks={network: endpoint}, silent=True)
        if self._mapping is None:
            return _Namespace(holder, (await self._networks.attach(request)).sandbox.netns, network)
        async with AsyncExitStack() as stack:
            pid = await stack.enter_async_context(process_inside(self._mapping, "--net"))
            attached = await self._networks.attach(dataclasses.replace(request, pid=pid))
            return _Namespace(holder, attached.sandbox.netns, network, pid, closing=stack.pop_all())

    def _keep(self, namespace: _Namespace) -> None:
        self._idle.append(namespace)
        namespace.expiry = asyncio.get_running_loop().call_later(_IDLE, self._expire, namespace)

    def _expire(self, namespace: _Namespace) -> None:
        self._idle.remove(namespace)
        self._remove(namespace)

    def _remove(self, namespace: _Namespace) -> None:
        task = asyncio.get_running_loop().create_task(self._removed(namespace), name="step-network-removal")
        self._removals.add(task)
        task.add_done_callback(self._removals.discard)

    async def _removed(self, namespace: _Namespace) -> None:
        async with namespace.closing:
            await self._networks.detach(namespace.holder)

    async def close(self) -> None:
        """Remove what is idle."""
        for namespace in self._idle:
            if namespace.expiry is not None:
                namespace.expiry.cancel()
            self._remove(namespace)
        self._idle.clear()
        await asyncio.gather(*self._removals, return_exceptions=True)
