"""What the kernel's side of a network is asked for: one driver for each kind of network that has interfaces."""

from collections.abc import Callable
from typing import Protocol

from engine.core.model.network import EndpointSettings, Network
from engine.domain.networks.failures import PluginNotFound
from engine.drivers.netlink.interfaces import Interface

_WITHOUT_INTERFACES = ("", "host", "null")


class NetworkDriver(Protocol):
    """Makes networks of one kind real. `hosts_ports`: their containers' ports can be published on the host."""

    hosts_ports: bool

    def require_valid(self, network: Network) -> None:
        """Raise WharfError with dockerd's text for a network that cannot be made. Nothing is taken for it yet."""

    def has_gateway(self, network: Network, version: int) -> bool:
        """Tell whether a network gets a gateway of a family (4, 6) that nobody asked for."""

    def require_pools(self, network: Network) -> None:
        """Raise WharfError for subnets that the driver cannot serve."""

    async def prepared(self, network: Network) -> Network:
        """Return a new network as its record is to have it."""

    async def bring_up(self, network: Network, *, making: bool) -> None:
        """Make or find what containers are connected to. Raises WharfError.

        `making`: the network is new, and what is wrong with it is the client's to know.
        """

    async def open(self, network: Network) -> None:
        """Let packets flow as the network's options say. Raises WharfError."""

    async def bring_down(self, network: Network) -> None:
        """Remove what `bring_up` made. Idempotent."""

    def interface(self, network: Network, settings: EndpointSettings, host_link: str) -> Interface:
        """Return a container's interface on the network, without addresses and routes."""


class DriverSet:
    """The drivers by their names."""

    def __init__(self, plugin: Callable[[str], NetworkDriver]) -> None:
        """`plugin` returns the driver of any other name, which may not be there."""
        self._drivers: dict[str, NetworkDriver] = {}
        self._plugin = plugin

    def add(self, name: str, driver: NetworkDriver) -> None:
        """Add a driver."""
        self._drivers[name] = driver

    def find(self, name: str) -> NetworkDriver | None:
        """Return a driver, None for `host` and `null`. That of a plugin is returned whether that is there or not."""
        if name in _WITHOUT_INTERFACES:
            return None
        return self._drivers.get(name) or self._plugin(name)

    def get(self, name: str) -> NetworkDriver:
        """Return a driver. Raises PluginNotFound."""
        found = self.find(name)
        if found is None:
            raise PluginNotFound(name)
        return found
