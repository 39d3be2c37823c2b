"""A third-party IPAM driver: it gives subnets of 10.177.0.0/16 and addresses of them, and keeps count."""

import ipaddress
import itertools
from pathlib import Path
from typing import Any

from compat_tests.clients.plugin import Plugin, Reply

POOL, FREE_POOL, ADDRESS, FREE = (
    f"IpamDriver.{method}" for method in ("RequestPool", "ReleasePool", "RequestAddress", "ReleaseAddress")
)
_GATEWAY = "com.docker.network.gateway"


class IpamPlugin(Plugin):
    """An IPAM driver. `pools` and `addresses` are those that are held now; what is given back twice is a `double`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, ["IpamDriver"])
        self._numbers = itertools.count()
        self.pools: dict[str, ipaddress.IPv4Network | ipaddress.IPv6Network] = {}
        self.addresses: dict[str, set[str]] = {}
        self.doubles: list[str] = []
        self.reset()

    def reset(self) -> None:
        """Answer properly again, and forget what was asked."""
        self.calls.clear()
        self.doubles.clear()
        self.handlers |= {
            "IpamDriver.GetCapabilities": lambda _: {"RequiresMACAddress": False, "RequiresRequestReplay": False},
            "IpamDriver.GetDefaultAddressSpaces": lambda _: {
                "LocalDefaultAddressSpace": "here",
                "GlobalDefaultAddressSpace": "everywhere",
            },
            POOL: self.request_pool,
            FREE_POOL: self.release_pool,
            ADDRESS: self.request_address,
            FREE: self.release_address,
        }

    def request_pool(self, body: dict[str, Any]) -> Reply:
        number = next(self._numbers) % 250
        chosen = f"fd00:177:{number:x}::/64" if body["V6"] else f"10.177.{number}.0/24"
        subnet = ipaddress.ip_network(body["Pool"] or chosen)
        self.pools[name := f"pool-{subnet}"] = subnet
        self.addresses.setdefault(name, set())
        return {"PoolID": name, "Pool": str(subnet), "Data": {"colour": "red"}}

    def release_pool(self, body: dict[str, Any]) -> Reply:
        if self.pools.pop(body["PoolID"], None) is None:
            self.doubles.append(body["PoolID"])
        return {}

    def request_address(self, body: dict[str, Any]) -> Reply:
        subnet, held = self.pools[body["PoolID"]], self.addresses[body["PoolID"]]
        asked = body["Address"]
        # From the top, as no engine does it by itself.
        first = int(subnet.network_address)
        any_free = next(a for n in range(100, 1, -1) if (a := str(type(subnet.network_address)(first + n))) not in held)
        address = asked or any_free
        if address in held:
            return {"Err": f"{address} is taken"}
        held.add(address)
        return {"Address": f"{address}/{subnet.prefixlen}", "Data": {}}

    def release_address(self, body: dict[str, Any]) -> Reply:
        held = self.addresses.get(body["PoolID"], set())
        if body["Address"] not in held:
            self.doubles.append(body["Address"])
        held.discard(body["Address"])
        return {}

    def held(self) -> set[str]:
        """All addresses that are in use."""
        return {address for pool, held in self.addresses.items() if pool in self.pools for address in held}
