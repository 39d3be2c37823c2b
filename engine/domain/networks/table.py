"""Which networks there are: immutable records in memory, written through to the store."""

from collections.abc import Iterable

from engine.core import ids
from engine.core.model.network import Network
from engine.domain.networks.failures import AmbiguousNetwork, NetworkExists, NetworkNotFound
from engine.state.store import Delete, Put, Store

KIND = "network"


class NetworkTable:
    """All networks by id and by name. Names are taken the moment they are reserved."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_id: dict[str, Network] = {}
        self._names: dict[str, str] = {}

    def load(self) -> None:
        """Read the records. Blocks; used at start-up only."""
        for network in self._store.load(KIND, Network).values():
            self._by_id[network.id] = network
            self._names[network.name] = network.id

    def all(self) -> Iterable[Network]:
        """Return every network, in no particular order."""
        return tuple(self._by_id.values())

    def find(self, reference: str) -> Network | None:
        """Return the network with that id or name, or None."""
        return self._by_id.get(reference) or self._by_id.get(self._names.get(reference, ""))

    def get(self, reference: str) -> Network:
        """Return the network with that id, name or unique id prefix. Raises NetworkNotFound, AmbiguousNetwork."""
        if found := self.find(reference):
            return found
        fitting = ids.matching(reference, self._by_id)
        if len(fitting) > 1:
            raise AmbiguousNetwork(reference, len(fitting))
        if not fitting:
            raise NetworkNotFound(reference)
        return self._by_id[fitting[0]]

    def reserve_name(self, name: str, network_id: str) -> None:
        """Take a name. Raises NetworkExists."""
        if self._names.setdefault(name, network_id) != network_id:
            raise NetworkExists(name)

    def free_name(self, name: str, network_id: str) -> None:
        """Give a name back, where it is this network's."""
        if self._names.get(name) == network_id:
            del self._names[name]

    async def intend(self, network: Network) -> None:
        """Write a network that is still being made: nobody sees it yet, but the next start would finish it."""
        await self._store.commit(Put(KIND, network.id, network))

    def show(self, network: Network) -> None:
        """Let a network be seen that has been made."""
        self._by_id[network.id] = network

    def hide(self, network: Network) -> None:
        """Let a network be found no more that is being removed; its name stays taken."""
        self._by_id.pop(network.id, None)

    async def put(self, network: Network) -> None:
        """Add or replace a network whose name is reserved; visible once it is written."""
        self.reserve_name(network.name, network.id)
        await self._store.commit(Put(KIND, network.id, network))
        self._by_id[network.id] = network

    async def remove(self, network: Network) -> None:
        """Forget a network and free its name."""
        await self._store.commit(Delete(KIND, network.id))
        self._by_id.pop(network.id, None)
        self.free_name(network.name, network.id)
