"""Networks whose addresses a plugin gives, on a kernel and with a plugin that are not there."""

import asyncio

import pytest

from engine.core.errors import Internal
from engine.core.model.network import IPAM, EndpointIPAMConfig, EndpointSettings, IPAMPool
from engine.domain.networks.failures import GatewayNotAllocated, IpamRefused
from engine.domain.networks.networks import NetworkDrivers, Networks, PluginDrivers
from engine.domain.networks.request import NetworkRequest
from engine.domain.networks.sandbox import SandboxRequest
from engine.domain.networks.settings import NetworkSettings
from engine.tests.domain.networks.fakes import World, request


class Plugins:
    """Gives addresses from 10.7.0.100 on, and knows which are held."""

    def __init__(self):
        self.says, self.refused, self.gone = {}, set(), False
        self.calls, self.held, self.count = [], [], 99

    async def capabilities(self, name):
        if self.gone:
            raise Internal("gone")
        return self.says

    async def call(self, name, method, arguments):
        self.calls.append((method, dict(arguments)))
        if self.gone:
            raise Internal("gone")
        if method in self.refused:
            return {"Error": "no"}
        if method == "RequestPool":
            return {"PoolID": "P", "Pool": arguments["Pool"] or "10.7.0.0/24"}
        if method == "RequestAddress":
            self.count += 1
            address = arguments["Address"] or f"10.7.0.{self.count}"
            self.held.append(address)
            return {"Address": f"{address}/24"}
        if method == "ReleaseAddress":
            self.held.remove(arguments["Address"])
        return {}

    def asked(self, method):
        return [arguments for called, arguments in self.calls if called == method]


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path)
    world.plugins = Plugins()

    def again():
        settings = NetworkSettings(bridge="wharf9", bip="10.9.0.1/24", userland_proxy=False)
        drivers = NetworkDrivers(world.netlink, world.firewall, world.host_ports)
        world.networks = Networks(world.store, world.bus, drivers, settings, PluginDrivers(ipam=world.plugins))
        return world.networks

    world.again = again
    again()
    await world.networks.start()
    yield world
    await world.close()


async def made(world, *pools):
    return await world.networks.create(NetworkRequest(name="nn", ipam=IPAM(driver="plug", config=list(pools))))


async def settled(world):
    for _ in range(50):
        await asyncio.sleep(0.01)


async def test_life(world):
    network = await made(world)
    assert [(p.subnet, p.gateway) for p in network.pools] == [("10.7.0.0/24", "10.7.0.100")]
    attached = await world.networks.attach(request("one", "nn"))
    settings = attached.networks["nn"]
    assert (settings.ip_address, settings.gateway, settings.ipam_config) == ("10.7.0.101", "10.7.0.100", None)
    await world.networks.detach("o" * 64)
    await world.networks.remove("nn")
    assert world.plugins.held == []
    assert world.plugins.asked("ReleasePool") == [{"PoolID": "P"}]


async def test_an_address_that_is_asked_for_stays_what_was_asked_for(world):
    await made(world)
    wanted = EndpointIPAMConfig(ipv4_address="10.7.0.9")
    attached = await world.networks.attach(
        SandboxRequest("o" * 64, "one", networks={"nn": EndpointSettings(ipam_config=wanted)})
    )
    assert attached.networks["nn"].ip_address == "10.7.0.9"
    assert attached.networks["nn"].ipam_config == wanted


async def test_a_network_that_cannot_be_made_gives_all_back(world):
    world.plugins.refused = {"RequestAddress"}
    with pytest.raises(GatewayNotAllocated, match=r"^failed to allocate gateway \(\): remote: no$"):
        await made(world)
    assert world.plugins.asked("ReleasePool") == [{"PoolID": "P"}]
    world.plugins.refused = set()
    world.netlink.failure = OSError(1, "no bridge")
    with pytest.raises(Exception, match="no bridge"):
        await made(world)
    assert world.plugins.held == []


async def test_an_endpoint_that_cannot_be_made_gives_its_address_back(world):
    await made(world)
    world.netlink.failure = OSError(1, "no link")
    with pytest.raises(Internal, match="no link"):
        await world.networks.attach(request("one", "nn"))
    assert world.plugins.held == ["10.7.0.100"]
    world.netlink.failure = None
    world.plugins.refused = {"RequestAddress"}
    with pytest.raises(IpamRefused):
        await world.networks.attach(request("one", "nn"))
    assert world.plugins.held == ["10.7.0.100"]


async def test_a_driver_that_wants_to_know_the_mac(world):
    world.plugins.says = {"RequiresMACAddress": True}
    await made(world)
    settings = (await world.networks.attach(request("one", "nn"))).networks["nn"]
    [_, asked] = world.plugins.asked("RequestAddress")
    assert asked["Options"] == {"com.docker.network.endpoint.macaddress": settings.mac_address}
    assert settings.requested_mac == ""


async def test_the_next_daemon_gives_back_what_has_ended(world):
    await made(world)
    await world.networks.attach(request("one", "nn"))
    networks = world.again()
    await networks.start()
    await networks.restore({})
    await settled(world)
    assert world.plugins.held == ["10.7.0.100"]
    assert len(world.plugins.asked("ReleaseAddress")) == 1
    networks = world.again()
    await networks.start()
    await networks.restore({})
    await settled(world)
    assert len(world.plugins.asked("ReleaseAddress")) == 1


async def test_a_driver_that_forgets_is_asked_again(world):
    await made(world, IPAMPool(subnet="10.8.0.0/24", auxiliary_addresses={"x": "10.8.0.5"}, gateway="10.8.0.1"))
    world.plugins.calls.clear()
    world.plugins.says = {"RequiresRequestReplay": True}
    networks = world.again()
    await networks.start()
    await networks.restore({})
    await settled(world)
    [pool] = world.plugins.asked("RequestPool")
    assert (pool["Pool"], pool["V6"]) == ("10.8.0.0/24", False)
    assert [a["Address"] for a in world.plugins.asked("RequestAddress")] == ["10.8.0.1", "10.8.0.5"]
