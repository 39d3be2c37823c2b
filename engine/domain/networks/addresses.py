"""The addresses of networks: their subnets, their gateways, and what endpoints get of them."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from engine.core.model.network import EndpointSettings, IPAMPool, Network
from engine.domain.networks.failures import (
    AddressInUse,
    AddressOutsidePool,
    AuxiliaryAddressTaken,
    GatewayTaken,
    NetworkDown,
    NoAddressLeft,
)
from engine.domain.networks.ipam import IPNetwork, Pool

# Auxiliary addresses of these names are what containers take for their gateway, in place of the bridge itself.
DEFAULT_GATEWAYS = {4: "DefaultGatewayIPv4", 6: "DefaultGatewayIPv6"}


@dataclass(frozen=True, slots=True)
class Address:
    """An endpoint's address of one family, empty for none."""

    address: str = ""
    prefix_length: int = 0
    gateway: str = ""

    @property
    def cidr(self) -> str:
        """The address with its prefix length: 172.17.0.2/16."""
        return f"{self.address}/{self.prefix_length}" if self.address else ""


@dataclass(frozen=True, slots=True)
class _Subnet:
    """`own` is the address that the network itself takes, `gateway` where containers send what goes elsewhere."""

    pool: Pool
    own: str
    gateway: str


class NetworkAddresses:
    """Gives and takes back the addresses of a network whose IPAM configuration is complete."""

    def __init__(self, network: Network) -> None:
        """Raises GatewayTaken, AuxiliaryAddressTaken, AddressOutsidePool."""
        self._network = network
        subnets = [_subnet(p) for p in network.pools]
        self._subnets = {
            4: [s for s in subnets if s.pool.subnet.version == 4 and network.enable_ipv4],
            6: [s for s in subnets if s.pool.subnet.version == 6 and network.enable_ipv6],
        }

    @property
    def own(self) -> tuple[str, ...]:
        """The bridge's own addresses, as 172.17.0.1/16."""
        everything = [*self._subnets[4], *self._subnets[6]]
        return tuple(f"{s.own}/{s.pool.subnet.prefixlen}" for s in everything if s.own)

    @property
    def subnets(self) -> tuple[str, ...]:
        """The subnets of both families."""
        return tuple(str(s.pool.subnet) for s in [*self._subnets[4], *self._subnets[6]])

    def take(self, wanted: EndpointSettings) -> tuple[Address, Address]:
        """Take an IPv4 and an IPv6 address, those asked for or any.

        What is asked for of a family that the network does not have is passed over, as dockerd does.
        Raises AddressInUse, AddressOutsidePool, NoAddressLeft.
        """
        asked = wanted.ipam_config
        ipv4 = self._take(4, asked.ipv4_address if asked else "")
        try:
            return ipv4, self._take(6, asked.ipv6_address if asked else "")
        except BaseException:
            self.release([ipv4.address])
            raise

    def take_again(self, settings: EndpointSettings) -> None:
        """Take the addresses that a running container has."""
        for address in (settings.ip_address, settings.global_ipv6_address):
            if address:
                self._holding(address).pool.take(address)

    def _take(self, version: int, asked: str) -> Address:
        subnets = self._subnets[version]
        if not subnets:
            return Address()
        if asked:
            subnet = self._holding(asked)
            return _address(subnet, subnet.pool.take(asked))
        for subnet in subnets:
            if address := subnet.pool.take_any():
                return _address(subnet, address)
        raise NoAddressLeft(version, self._network.name, self._network.id)

    def _holding(self, address: str) -> _Subnet:
        parsed = ipaddress.ip_address(address)
        for subnet in self._subnets[parsed.version]:
            if parsed in subnet.pool.subnet:
                return subnet
        raise AddressOutsidePool(address)

    def release(self, addresses: Iterable[str]) -> None:
        """Give addresses back. Idempotent."""
        for address in addresses:
            if address:
                self._holding(address).pool.release(address)


class AddressBook:
    """The addresses of all networks that are up."""

    def __init__(self) -> None:
        self._networks: dict[str, NetworkAddresses] = {}

    def open(self, network: Network) -> NetworkAddresses:
        """Begin to give a network's addresses. Raises what NetworkAddresses raises."""
        addresses = NetworkAddresses(network)
        self._networks[network.id] = addresses
        return addresses

    def close(self, network_id: str) -> None:
        """Give no more addresses of a network. Idempotent."""
        self._networks.pop(network_id, None)

    def get(self, network_id: str) -> NetworkAddresses:
        """Return the addresses of a network that is up. Raises NetworkDown."""
        if network_id not in self._networks:
            raise NetworkDown(network_id)
        return self._networks[network_id]

    def is_open(self, network_id: str) -> bool:
        """Tell whether a network is up."""
        return network_id in self._networks


def _address(subnet: _Subnet, address: str) -> Address:
    return Address(address, subnet.pool.subnet.prefixlen, subnet.gateway)


def _subnet(config: IPAMPool) -> _Subnet:
    subnet = ipaddress.ip_network(config.subnet, strict=False)
    limits = ipaddress.ip_network(config.ip_range, strict=False) if config.ip_range else None
    pool = Pool(subnet, limits)
    own = config.gateway.partition("/")[0]
    if own:
        try:
            pool.take(own)
        except AddressInUse as error:
            raise GatewayTaken(own) from error
    auxiliary = config.auxiliary_addresses or {}
    for name, address in auxiliary.items():
        try:
            pool.take(address)
        except AddressInUse as error:
            raise AuxiliaryAddressTaken(name, address) from error
    return _Subnet(pool, own, auxiliary.get(DEFAULT_GATEWAYS[subnet.version], own))


def first_host(subnet: IPNetwork, ip_range: str = "") -> str:
    """Return the address that a gateway gets where none is asked for: the first that may be given to anyone."""
    limits = ipaddress.ip_network(ip_range, strict=False) if ip_range else subnet
    first = limits.network_address
    has_network_address = subnet.max_prefixlen - subnet.prefixlen > 1
    return str(first + 1 if first == subnet.network_address and has_network_address else first)
