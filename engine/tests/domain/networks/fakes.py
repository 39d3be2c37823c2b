"""Stand-ins for the kernel, and parts put together on them."""

from pathlib import Path

from engine.core.model.network import EndpointSettings
from engine.domain.events.bus import EventBus
from engine.domain.networks.networks import NetworkDrivers, Networks
from engine.domain.networks.sandbox import SandboxRequest
from engine.domain.networks.settings import NetworkSettings
from engine.drivers.dns.server import open_sockets
from engine.drivers.firewall.host_ports import HostPorts
from engine.drivers.firewall.rules import BridgeRules, NoFirewall, PortRule
from engine.state.store import Store


class FakeNetlink:
    """Remembers what there is; fails on demand."""

    def __init__(self) -> None:
        self.spaces: dict[str, list] = {}
        self.links: set[str] = set()
        self.bridges: dict[str, tuple[str, ...]] = {}
        self.routes: dict[str, list[tuple[int, str, str]]] = {}
        self.parents: dict[str, int] = {"lo": 0, "eth0": 0}
        self.failure: OSError | None = None

    async def start(self) -> None: ...

    def path(self, namespace: str) -> str:
        return f"/run/wharf/netns/{namespace}"

    async def create_namespace(self, name, interfaces=(), then=None, pid=0):
        if self.failure:
            raise self.failure
        self.spaces[name] = list(interfaces)
        self.links |= {i.host_name for i in interfaces} - {""}

    async def add_interface(self, namespace, interface) -> None:
        if self.failure:
            raise self.failure
        self.spaces[namespace].append(interface)
        self.links.add(interface.host_name)

    async def inside(self, namespace, function):
        return open_sockets()

    async def remove_interface(self, namespace, name) -> None:
        self.spaces[namespace] = [i for i in self.spaces[namespace] if i.name != name]

    async def route_through(self, namespace, routes) -> None:
        self.routes[namespace] = [(r.version, r.interface, r.gateway) for r in routes]

    async def link_exists(self, name: str) -> bool:
        return name in self.parents

    async def make_vlan(self, name: str, parent: str, number: int) -> None:
        self.parents[name] = number

    async def make_dummy(self, name: str) -> None:
        if self.failure:
            raise self.failure
        self.parents[name] = 0

    async def remove_namespace(self, name: str) -> None:
        self.spaces.pop(name, None)

    async def namespaces(self) -> list[str]:
        return list(self.spaces)

    async def ensure_bridge(self, bridge) -> None:
        if self.failure:
            raise self.failure
        self.bridges[bridge.name] = bridge.addresses

    async def bridge_addresses(self, name: str):
        return list(self.bridges[name]) if name in self.bridges else None

    async def remove_link(self, name: str) -> None:
        self.links.discard(name)
        self.bridges.pop(name, None)
        self.parents.pop(name, None)

    async def remove_links(self, names) -> None:
        self.links -= set(names)

    async def forget_udp(self, addresses, ports) -> None: ...

    async def link_names(self) -> list[str]:
        return [*self.links, *self.bridges]

    async def routed_networks(self):
        return []

    async def enable_forwarding(self, *, ipv6: bool) -> list[int]:
        return [4]


class FakeFirewall(NoFirewall):
    """Remembers bridges and ports; fails on demand."""

    def __init__(self) -> None:
        self.bridges: dict[str, BridgeRules] = {}
        self.published: set[PortRule] = set()
        self.failure: OSError | None = None

    async def replace(self, bridges, ports) -> None:
        self.bridges = {b.bridge: b for b in bridges}
        self.published = set(ports)

    async def add_bridge(self, bridge) -> None:
        if self.failure:
            raise self.failure
        self.bridges[bridge.bridge] = bridge

    async def remove_bridge(self, bridge) -> None:
        self.bridges.pop(bridge.bridge, None)

    async def publish(self, ports) -> None:
        if self.failure:
            raise self.failure
        self.published.update(ports)

    async def unpublish(self, ports) -> None:
        self.published.difference_update(ports)


class World:
    """Networks on a kernel that is not there."""

    def __init__(self, directory: Path) -> None:
        self.netlink, self.firewall, self.host_ports = FakeNetlink(), FakeFirewall(), HostPorts()
        self.store = Store(directory / "state.db")
        self.bus = EventBus(self.store)
        self.networks = self.again()

    def again(self) -> Networks:
        """Return new networks over the same kernel and records, as a restarted daemon has them."""
        settings = NetworkSettings(bridge="wharf9", bip="10.9.0.1/24", userland_proxy=False)
        self.networks = Networks(
            self.store, self.bus, NetworkDrivers(self.netlink, self.firewall, self.host_ports), settings
        )
        return self.networks

    async def close(self) -> None:
        await self.networks.close()
        await self.bus.close()
        self.store.close()


def request(name: str, *networks: str, **fields) -> SandboxRequest:
    """Return what a container named `name` asks for."""
    wanted = {n: EndpointSettings() for n in networks or ("bridge",)}
    return SandboxRequest(name[0] * 64, name, name, wanted, **fields)
