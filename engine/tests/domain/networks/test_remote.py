"""Networks of plugins, on a kernel and with a plugin that are not there."""

import pytest

from engine.core.errors import Internal
from engine.core.model.network import EndpointSettings, PortBinding
from engine.domain.networks.failures import EndpointRefused, PluginNotFound, RemoteRefused
from engine.domain.networks.networks import NetworkDrivers, Networks, PluginDrivers
from engine.domain.networks.request import NetworkRequest
from engine.domain.networks.settings import NetworkSettings
from engine.drivers.netlink.interfaces import GivenLink
from engine.tests.domain.networks.fakes import World, request


class Plugins:
    def __init__(self):
        self.calls, self.refusals, self.gone = [], {}, False

    async def require(self, name):
        if name != "plug":
            raise PluginNotFound(name)

    async def call(self, name, method, arguments, *, patient):
        self.calls.append(method)
        if self.gone:
            raise Internal("gone")
        if method in self.refusals:
            return {"Err": self.refusals[method]}
        if method == "Join":
            return {"InterfaceName": {"SrcName": "made1", "DstPrefix": "plg"}, "Gateway": "10.77.0.1"}
        return {}


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path)
    world.plugins = Plugins()

    def again():
        settings = NetworkSettings(bridge="wharf9", bip="10.9.0.1/24", userland_proxy=False)
        drivers = NetworkDrivers(world.netlink, world.firewall, world.host_ports)
        world.networks = Networks(world.store, world.bus, drivers, settings, PluginDrivers(world.plugins))
        return world.networks

    world.again = again
    again()
    await world.networks.start()
    yield world
    await world.close()


async def made(world, name="nn"):
    return await world.networks.create(NetworkRequest(name=name, driver="plug"))


async def test_life(world):
    await made(world)
    attached = await world.networks.attach(
        request("one", "nn", port_bindings={"80/tcp": [PortBinding(host_port="8080")]})
    )
    settings = attached.networks["nn"]
    assert (settings.interface, settings.gateway, settings.mac_address) == ("plg0", "10.77.0.1", "")
    await world.networks.detach("o" * 64)
    await world.networks.remove("nn")
    assert world.plugins.calls == [
        *("CreateNetwork", "CreateEndpoint", "Join", "ProgramExternalConnectivity"),
        *("EndpointOperInfo", "RevokeExternalConnectivity", "Leave", "DeleteEndpoint", "DeleteNetwork"),
    ]


async def test_links_get_names_that_are_free(world):
    for name in ("n1", "n2"):
        await made(world, name)
    attached = await world.networks.attach(request("one", "n1", "n2"))
    assert {s.interface for s in attached.networks.values()} == {"plg0", "plg1"}


async def test_what_is_unknown_or_refused_leaves_nothing(world):
    with pytest.raises(PluginNotFound, match='^plugin "other" not found$'):
        await world.networks.create(NetworkRequest(name="nn", driver="other"))
    world.plugins.refusals["CreateNetwork"] = "no"
    with pytest.raises(RemoteRefused, match="^remote: no$"):
        await made(world)
    assert world.networks.find("nn") is None
    world.plugins.refusals = {"CreateEndpoint": "no"}
    await made(world)
    with pytest.raises(EndpointRefused, match="failed to create endpoint one on network nn: remote: no$"):
        await world.networks.attach(request("one", "nn"))
    world.plugins.refusals = {"Join": "no"}
    with pytest.raises(RemoteRefused):
        await world.networks.attach(request("one", "nn"))
    assert world.plugins.calls[-1] == "DeleteEndpoint"
    world.plugins.refusals = {}
    attached = await world.networks.attach(request("one", "nn"))
    assert attached.networks["nn"].ip_address.endswith(".2"), "addresses have been given back"


async def test_a_plugin_that_is_gone_holds_up_neither_start_nor_removal(world):
    await made(world)
    world.plugins.gone = True
    await world.networks.close()
    await world.again().start()
    assert world.networks.get("nn").driver == "plug"
    await world.networks.remove("nn")
    assert world.networks.find("nn") is None


def test_a_given_link_hangs_on_itself():
    assert EndpointSettings().interface == ""
    assert GivenLink("made1").source == "made1"
