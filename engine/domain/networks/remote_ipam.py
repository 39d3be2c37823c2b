"""Address management of plugins: which subnets and addresses they give, and that they get all of them back.

Source: libnetwork's remote IPAM protocol; what a plugin is asked is as with dockerd 28.5. An address that is held is
written down, so that a later daemon gives it back where its container has ended meanwhile.
"""

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Collection, Coroutine, Iterable, Mapping
from typing import Any, Protocol

import msgspec

from engine.core.errors import WharfError
from engine.core.model.network import IPAM, EndpointIPAMConfig, EndpointSettings, IPAMPool, Network
from engine.domain.networks.failures import (
    AuxiliaryAddressTaken,
    GatewayNotAllocated,
    IpamRefused,
    NoAddressReturned,
    PluginNotFound,
    UnusablePool,
)
from engine.state.store import Delete, Put, Store

log = logging.getLogger(__name__)
_OWN = ("", "default", "null")
_GATEWAY = "com.docker.network.gateway"
_MAC = "com.docker.network.endpoint.macaddress"
_LEASE = "ipam-lease"


class IpamPlugins(Protocol):
    """The plugins that are IPAM drivers."""

    async def capabilities(self, name: str) -> Mapping[str, Any]:
        """Return what a driver says of itself. Raises WharfError where it cannot be used."""

    async def call(self, name: str, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return a driver's answer. Raises WharfError."""


class NoIpamPlugins:
    """No IPAM drivers but our own."""

    async def capabilities(self, name: str) -> Mapping[str, Any]:
        """Raise PluginNotFound."""
        raise PluginNotFound(name)

    async def call(self, name: str, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Raise PluginNotFound."""
        del method, arguments
        raise PluginNotFound(name)


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The addresses that an endpoint holds: pairs of a pool's ID and an address."""

    driver: str
    network_id: str
    addresses: list[tuple[str, str]]


class RemoteIpam:
    """Asks IPAM plugins, and keeps what endpoints hold of theirs."""

    def __init__(self, plugins: IpamPlugins, store: Store) -> None:
        self._plugins = plugins
        self._store = store
        self._leases: dict[str, Lease] = {}
        self._returning: set[asyncio.Task[None]] = set()

    def manages(self, ipam: IPAM) -> bool:
        """Tell whether a plugin gives the addresses."""
        return ipam.driver not in _OWN

    # Networks: their subnets and own addresses.

    async def pools(self, network: Network, *, gateways: Collection[int]) -> Network:
        """Return a network with its subnets; `gateways` are the families for which it needs one. Raises WharfError."""
        await self._plugins.capabilities(network.ipam.driver)
        made = msgspec.structs.replace(network, pools=[], pool_ids={})
        try:
            for version, enabled in ((4, network.enable_ipv4), (6, network.enable_ipv6)):
                asked = [p for p in network.ipam.config or () if p.subnet and (":" in p.subnet) == (version == 6)]
                for pool in (asked or [IPAMPool()]) if enabled else ():
                    made = await self._with_pool(made, pool, version, gateway=version in gateways)
        except BaseException:
            await asyncio.shield(self.release_pools(made))
            raise
        return made

    async def _with_pool(self, network: Network, asked: IPAMPool, version: int, *, gateway: bool) -> Network:
        driver = network.ipam.driver
        answer = await self._request_pool(driver, asked, network.ipam.options or {}, ipv6=version == 6)
        pool_id, subnet = str(answer.get("PoolID") or ""), _subnet(answer.get("Pool"), version)
        pool = msgspec.structs.replace(asked, subnet=subnet)
        try:
            pool = await self._with_addresses(driver, pool_id, pool, _given_gateway(answer), wanted=gateway)
        except BaseException:
            await asyncio.shield(self._tell(driver, "ReleasePool", {"PoolID": pool_id}))
            raise
        pool_ids = {**(network.pool_ids or {}), subnet: pool_id}
        return msgspec.structs.replace(network, pools=[*network.pools, pool], pool_ids=pool_ids)

    async def _with_addresses(self, driver: str, pool_id: str, pool: IPAMPool, given: str, *, wanted: bool) -> IPAMPool:
        """Return a pool with its gateway, and its auxiliary addresses reserved."""
        taken: list[str] = []
        try:
            if given:
                pool = msgspec.structs.replace(pool, gateway=given)
            elif pool.gateway or wanted:
                pool = msgspec.structs.replace(pool, gateway=await self._gateway(driver, pool_id, pool.gateway))
                taken.append(pool.gateway)
            for name, address in (pool.auxiliary_addresses or {}).items():
                try:
                    taken.append(await self._request(driver, pool_id, address, None))
                except WharfError as error:
                    raise AuxiliaryAddressTaken(name, address, str(error)) from error
        except BaseException:
            for address in taken:
                await asyncio.shield(self._give_back(driver, pool_id, address))
            raise
        return pool

    async def _gateway(self, driver: str, pool_id: str, asked: str) -> str:
        try:
            return await self._request(driver, pool_id, asked, {"RequestAddressType": _GATEWAY})
        except WharfError as error:
            raise GatewayNotAllocated(asked, str(error)) from error

    async def release_pools(self, network: Network) -> None:
        """Give a network's own addresses and its subnets back. What a plugin says against it is for the log."""
        for pool in network.pools if network.pool_ids else ():
            pool_id, driver = (network.pool_ids or {}).get(pool.subnet, ""), network.ipam.driver
            for address in (pool.gateway, *(pool.auxiliary_addresses or {}).values()):
                if address:
                    await self._give_back(driver, pool_id, address)
            await self._tell(driver, "ReleasePool", {"PoolID": pool_id})

    # Endpoints: their addresses.

    async def needs_mac(self, network: Network) -> bool:
        """Tell whether a plugin wants to know the MAC address that an address is for. Raises WharfError."""
        capabilities = await self._plugins.capabilities(network.ipam.driver)
        return capabilities.get("RequiresMACAddress") is True

    async def lease(self, network: Network, wanted: EndpointSettings, key: str, mac: str) -> EndpointSettings:
        """Return what is wanted with addresses that the plugin has given; they are held under `key`. Raises WharfError.

        `mac` is the MAC address that they are for, empty where the plugin does not want to know.
        """
        asked = wanted.ipam_config or EndpointIPAMConfig()
        lease = Lease(driver=network.ipam.driver, network_id=network.id, addresses=[])
        found: list[str] = []
        try:
            for version, address in ((4, asked.ipv4_address), (6, asked.ipv6_address)):
                pool_id, given = await self._any_of(network, version, address, {_MAC: mac} if mac else None)
                found.append(given)
                if given:
                    lease.addresses.append((pool_id, given))
            await self._store.commit(Put(_LEASE, key, lease))
        except BaseException:
            await asyncio.shield(self._return(lease))
            raise
        self._leases[key] = lease
        config = msgspec.structs.replace(asked, ipv4_address=found[0], ipv6_address=found[1])
        return msgspec.structs.replace(wanted, ipam_config=config)

    async def _any_of(
        self, network: Network, version: int, asked: str, options: Mapping[str, str] | None
    ) -> tuple[str, str]:
        """Return an address of a family and the pool that it is of: of the first subnet that has one."""
        pools = [p for p in network.pools if (":" in p.subnet) == (version == 6)]
        if asked:
            pools = [p for p in pools if ipaddress.ip_address(asked) in ipaddress.ip_network(p.subnet)] or pools[:1]
        failure: WharfError | None = None
        for pool in pools:
            pool_id = (network.pool_ids or {}).get(pool.subnet, "")
            try:
                return pool_id, await self._request(network.ipam.driver, pool_id, asked, options)
            except WharfError as error:
                failure = error
        if failure:
            raise failure
        return "", ""

    async def end(self, key: str) -> None:
        """Give back what is held under a key. Idempotent."""
        lease = self._leases.pop(key, None)
        if lease is not None:
            await self._end(key, lease)

    async def _end(self, key: str, lease: Lease) -> None:
        """The record goes last: a daemon that is killed in between gives addresses back twice, rather than never."""
        await self._return(lease)
        await self._store.commit(Delete(_LEASE, key))

    async def _return(self, lease: Lease) -> None:
        for pool_id, address in lease.addresses:
            await self._give_back(lease.driver, pool_id, address)

    async def restore(self, held: Collection[str], networks: Iterable[Network]) -> None:
        """Take over what an earlier daemon left: what is not held any more goes back, when its plugin is there.

        Drivers that keep nothing themselves are asked for the rest again. Neither is waited for.
        """
        leases = await asyncio.to_thread(self._store.load, _LEASE, Lease)
        for key, lease in leases.items():
            if key in held:
                self._leases[key] = lease
            else:
                self._in_background(self._end(key, lease))
        for network in networks:
            if network.pool_ids:
                self._in_background(self._replay(network))

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name="ipam-restore")
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)

    async def _replay(self, network: Network) -> None:
        """Ask a driver that wants it for all of a network's addresses again, as they are."""
        driver = network.ipam.driver
        try:
            capabilities = await self._plugins.capabilities(driver)
            if capabilities.get("RequiresRequestReplay") is not True:
                return
            for pool in network.pools:
                answer = await self._request_pool(driver, pool, network.ipam.options or {})
                for address in (pool.gateway, *(pool.auxiliary_addresses or {}).values()):
                    options = {"RequestAddressType": _GATEWAY} if address == pool.gateway else None
                    await self._request(driver, str(answer.get("PoolID") or ""), address, options)
            for lease in [lease for lease in self._leases.values() if lease.network_id == network.id]:
                for pool_id, address in lease.addresses:
                    await self._request(driver, pool_id, address, None)
        except WharfError as error:
            log.warning("IPAM driver %s does not take up network %s again: %s", driver, network.name, error)

    async def close(self) -> None:
        """Stop giving back; what is left waits for the next daemon."""
        for task in self._returning:
            task.cancel()
        await asyncio.gather(*self._returning, return_exceptions=True)

    # What goes over the wire.

    async def _request_pool(
        self, driver: str, asked: IPAMPool, options: Mapping[str, str], *, ipv6: bool = False
    ) -> dict[str, Any]:
        spaces = await self._call(driver, "GetDefaultAddressSpaces", {})
        arguments = {
            "AddressSpace": spaces.get("LocalDefaultAddressSpace") or "",
            "Pool": asked.subnet,
            "SubPool": asked.ip_range,
            "Options": options,
            "V6": ipv6 or ":" in asked.subnet,
        }
        return await self._call(driver, "RequestPool", arguments)

    async def _request(self, driver: str, pool_id: str, address: str, options: Mapping[str, str] | None) -> str:
        arguments = {"PoolID": pool_id, "Address": address, "Options": options}
        answer = await self._call(driver, "RequestAddress", arguments)
        try:
            return str(ipaddress.ip_interface(str(answer.get("Address") or "")).ip)
        except ValueError:
            raise NoAddressReturned from None

    async def _give_back(self, driver: str, pool_id: str, address: str) -> None:
        await self._tell(driver, "ReleaseAddress", {"PoolID": pool_id, "Address": address})

    async def _tell(self, driver: str, method: str, arguments: Mapping[str, Any]) -> None:
        try:
            await self._call(driver, method, arguments)
        except WharfError as error:
            log.warning("%s of IPAM driver %s: %s", method, driver, error)

    async def _call(self, driver: str, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self._plugins.call(driver, method, arguments)
        reason = answer.get("Error")
        if isinstance(reason, str) and reason:
            raise IpamRefused(reason)
        return answer


def _subnet(text: object, version: int) -> str:
    """Raises UnusablePool."""
    with contextlib.suppress(ValueError):
        subnet = ipaddress.ip_network(str(text or ""), strict=False)
        if "/" in str(text) and subnet.version == version:
            return str(subnet)
    raise UnusablePool(str(text or ""))


def _given_gateway(answer: Mapping[str, Any]) -> str:
    """Return the gateway that comes with a pool, if any."""
    data = answer.get("Data")
    text = data.get(_GATEWAY) if isinstance(data, dict) else None
    return str(text).partition("/")[0] if text else ""
