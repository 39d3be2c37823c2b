"""Networks from one end to the other, on a kernel that is not there."""

import asyncio

import pytest

from engine.core.errors import WharfError
from engine.core.model.container import Container, ContainerConfig, HostConfig, State, Status
from engine.core.model.event import EventType
from engine.core.model.network import IPAM, EndpointIPAMConfig, EndpointSettings, IPAMPool, PortBinding
from engine.domain.networks.failures import (
    AlreadyConnected,
    HasActiveEndpoints,
    LinkFailed,
    NetworkExists,
    NetworkNotFound,
    NotConnected,
    PoolOverlaps,
    PredefinedNotRemovable,
    SameBridgeName,
)
from engine.domain.networks.request import NetworkRequest
from engine.tests.domain.networks.fakes import World, request


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path)
    await world.networks.start()
    await world.networks.restore({})
    yield world
    await world.close()


def _actions(world):
    return [(e.action, e.attributes.get("name")) for e in world.bus._record.between(0, 0)]


def _port() -> list[PortBinding]:
    return [PortBinding(host_ip="127.0.0.1")]


async def test_the_predefined_networks_are_there_and_keep_their_ids(world):
    before = {n.name: n.id for n in world.networks.all()}
    assert set(before) == {"bridge", "host", "none"}
    again = world.again()
    await again.start()
    assert {n.name: n.id for n in again.all()} == before


async def test_a_container_is_attached_and_detached(world):
    attached = await world.networks.attach(request("web", port_bindings={"80/tcp": _port()}))
    endpoint = attached.networks["bridge"]
    assert (endpoint.ip_address, endpoint.gateway, endpoint.interface) == ("10.9.0.2", "10.9.0.1", "eth0")
    assert endpoint.dns_names is None
    assert len(world.firewall.published) == 1
    assert attached.sandbox.netns.endswith(attached.sandbox.id[:12])
    await world.networks.detach("w" * 64)
    await world.networks._attacher.settled()
    assert not world.netlink.spaces
    assert not world.netlink.links
    assert not world.firewall.published
    assert _actions(world)[-2:] == [("connect", "bridge"), ("disconnect", "bridge")]
    assert (await world.networks.attach(request("other"))).networks["bridge"].ip_address == "10.9.0.2"


@pytest.mark.parametrize("part", ["netlink", "firewall"])
async def test_nothing_remains_of_an_attachment_that_fails(world, part):
    getattr(world, part).failure = OSError(28, "No space left on device")
    with pytest.raises(LinkFailed, match="^failed to set up container networking: "):
        await world.networks.attach(request("web", port_bindings={"80/tcp": _port()}))
    getattr(world, part).failure = None
    assert not world.netlink.spaces
    assert not world.netlink.links
    assert not world.host_ports._held
    assert not world.networks.endpoints(world.networks.get("bridge").id)
    assert (await world.networks.attach(request("web"))).networks["bridge"].ip_address == "10.9.0.2"


async def test_a_network_that_is_not_there_is_named(world):
    with pytest.raises(NetworkNotFound, match="^failed to set up container networking: network nope not found$"):
        await world.networks.attach(request("web", "nope"))


async def test_none_has_a_namespace_and_nothing_in_it(world):
    attached = await world.networks.attach(request("web", "none", port_bindings={"80/tcp": _port()}))
    assert world.netlink.spaces == {attached.sandbox.id[:12]: []}
    assert attached.sandbox.ports == {}
    assert attached.networks["none"].network_id == world.networks.get("none").id


async def test_the_hosts_network_needs_no_namespace(world):
    attached = await world.networks.attach(request("web", "host"))
    assert attached.sandbox.netns.endswith("/default")
    assert not world.netlink.spaces
    assert set(world.networks.endpoints(world.networks.get("host").id)) == {"w" * 64}


async def test_a_restarted_daemon_adopts_what_runs_and_removes_the_rest(world):
    attached = await world.networks.attach(request("web", port_bindings={"80/tcp": _port()}))
    await world.networks.attach(request("dead", port_bindings={"80/tcp": _port()}))
    rules = set(world.firewall.published)
    container = Container(
        id="w" * 64,
        name="web",
        created_at=1,
        image="i",
        config=ContainerConfig(),
        host_config=HostConfig(network_mode="bridge"),
        networks=dict(attached.networks),
        sandbox=attached.sandbox,
        state=State(status=Status.RUNNING),
    )
    world.host_ports.close()
    again = world.again()
    await again.start()
    await again.restore({container.id: container})
    assert list(world.netlink.spaces) == [attached.sandbox.id[:12]]
    assert len(world.netlink.links) == 1
    assert world.firewall.published < rules
    assert len(world.host_ports._held) == 1
    assert (await again.attach(request("next"))).networks["bridge"].ip_address == "10.9.0.3"
    await again.detach(container.id)
    assert not world.firewall.published


async def test_a_network_is_made_and_removed(world):
    network = await world.networks.create(NetworkRequest("front", labels={"a": "b"}))
    assert world.netlink.bridges[f"br-{network.id[:12]}"] == (f"{network.pools[0].gateway}/16",)
    with pytest.raises(NetworkExists):
        await world.networks.create(NetworkRequest("front"))
    await world.networks.attach(request("web", "front"))
    with pytest.raises(HasActiveEndpoints, match='network front has active endpoints \\(name:"web" id:"'):
        await world.networks.remove("front")
    await world.networks.detach("w" * 64)
    await world.networks.remove(network.id[:10])
    assert set(world.netlink.bridges) == {"wharf9"}
    assert [a for a, n in _actions(world) if n == "front"] == ["create", "connect", "disconnect", "destroy"]
    with pytest.raises(NetworkNotFound):
        world.networks.get("front")
    with pytest.raises(PredefinedNotRemovable):
        await world.networks.remove("bridge")


@pytest.mark.parametrize("part", ["netlink", "firewall"])
async def test_nothing_remains_of_a_network_that_cannot_be_made(world, part):
    getattr(world, part).failure = OSError(1, "Operation not permitted")
    wanted = NetworkRequest("front", ipam=IPAM(config=[IPAMPool(subnet="10.10.0.0/24")]))
    with pytest.raises(WharfError, match="(?i)operation not permitted"):
        await world.networks.create(wanted)
    getattr(world, part).failure = None
    assert set(world.netlink.bridges) == {"wharf9"}
    assert {n.name for n in world.networks.all()} == {"bridge", "host", "none"}
    await world.networks.create(wanted)


async def test_subnets_and_bridges_belong_to_one_network(world):
    with pytest.raises(PoolOverlaps):
        await world.networks.create(NetworkRequest("n", ipam=IPAM(config=[IPAMPool(subnet="10.9.0.0/16")])))
    named = {"com.docker.network.bridge.name": "wharf9"}
    with pytest.raises(SameBridgeName):
        await world.networks.create(NetworkRequest("n", options=named))


async def test_ipv6_networks_get_a_unique_local_subnet(world):
    network = await world.networks.create(NetworkRequest("six", enable_ipv6=True))
    endpoint = (await world.networks.attach(request("web", "six"))).networks["six"]
    assert network.pools[1].subnet.startswith("fd")
    assert endpoint.global_ipv6_prefix_len == 64


async def test_connecting_moves_the_default_route_and_the_ports(world):
    await world.networks.create(NetworkRequest("alpha"))
    beta = await world.networks.create(NetworkRequest("beta", ipam=IPAM(config=[IPAMPool(subnet="10.10.0.0/24")])))
    asked = request("web", "alpha", port_bindings={"80/tcp": _port()})
    namespace = (await world.networks.attach(asked)).sandbox.id[:12]
    wanted = EndpointSettings(gw_priority=1, ipam_config=EndpointIPAMConfig(ipv4_address="10.10.0.77"), aliases=["b"])
    endpoint = await world.networks.connect(asked, beta, wanted)
    assert (endpoint.interface, endpoint.dns_names) == ("eth1", ["web", "b", "w" * 12])
    assert world.netlink.routes[namespace] == [(4, "eth1", "10.10.0.1")]
    assert {r.container_address for r in world.firewall.published} == {"10.10.0.77"}
    with pytest.raises(AlreadyConnected):
        await world.networks.connect(asked, beta, wanted)
    await world.networks.disconnect("w" * 64, beta)
    assert world.netlink.routes[namespace][0][:2] == (4, "eth0")
    assert {r.container_address for r in world.firewall.published} != {"10.10.0.77"}
    with pytest.raises(NotConnected):
        await world.networks.disconnect("w" * 64, beta)


async def test_a_connection_that_fails_gives_its_address_back(world):
    beta = await world.networks.create(NetworkRequest("beta", ipam=IPAM(config=[IPAMPool(subnet="10.10.0.0/24")])))
    asked = request("web")
    await world.networks.attach(asked)
    world.netlink.failure = OSError(16, "Device or resource busy")
    with pytest.raises(WharfError):
        await world.networks.connect(asked, beta, EndpointSettings())
    world.netlink.failure = None
    assert (await world.networks.connect(asked, beta, EndpointSettings())).ip_address == "10.10.0.2"


async def test_a_renamed_container_is_found_under_its_new_name(world):
    network = await world.networks.create(NetworkRequest("front"))
    await world.networks.attach(request("web", "front"))
    await asyncio.sleep(0)
    world.bus.publish(EventType.CONTAINER, "rename", "w" * 64, {"name": "site", "oldName": "/web"})
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    (endpoint,) = world.networks.endpoints(network.id).values()
    assert (endpoint.container, endpoint.settings.dns_names) == ("site", ["site", "w" * 12])


async def test_a_prune_removes_what_nobody_uses(world):
    await world.networks.create(NetworkRequest("front"))
    await world.networks.create(NetworkRequest("back"))
    await world.networks.attach(request("web", "front"))
    assert await world.networks.prune({}) == ["back"]
    assert [a for a, _ in _actions(world)][-2:] == ["destroy", "prune"]


MTU = "com.docker.network.driver.mtu"


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (NetworkRequest("n", driver="bogus"), 'plugin "bogus" not found'),
        (
            NetworkRequest("n", options={MTU: "abc"}),
            f'failed to parse {MTU} value: abc (strconv.Atoi: parsing "abc": invalid syntax)',
        ),
        (NetworkRequest("n", options={MTU: "-1"}), "invalid MTU number: -1"),
        (NetworkRequest("n", driver="macvlan", options={"parent": "lo"}), "loopback interface is not a valid macvlan "),
        (NetworkRequest("n", driver="macvlan", options={"parent": "nope.1"}), "-o parent interface was not found on "),
        (NetworkRequest("n", driver="macvlan", options={"parent": "eth0.0"}), "vlan id must be between 1-4094, rec"),
        (
            NetworkRequest("n", driver="ipvlan", options={"ipvlan_mode": "l4"}),
            "requested ipvlan mode 'l4' is not valid",
        ),
        (NetworkRequest("n", config_from="bridge"), 'configuration network "bridge" does not exist'),
        (NetworkRequest("n", config_only=True, internal=True), "configuration network can only contain network spec"),
        (NetworkRequest("n", config_from="x", labels={"a": "b"}), "user specified configurations are not supported "),
    ],
)
async def test_what_cannot_be_made_takes_nothing(world, wanted, text):
    with pytest.raises(WharfError) as caught:
        await world.networks.create(wanted)
    assert str(caught.value).startswith(text)
    assert {n.name for n in world.networks.all()} == {"bridge", "host", "none"}
    assert set(world.netlink.parents) == {"lo", "eth0"}


async def test_networks_take_their_settings_from_another(world):
    await world.networks.create(NetworkRequest("settings", config_only=True, enable_ipv6=True, options={MTU: "1400"}))
    network = await world.networks.create(NetworkRequest("front", config_from="settings"))
    assert (network.options, network.enable_ipv6, network.config_from) == ({MTU: "1400"}, True, "settings")
    with pytest.raises(WharfError, match='configuration network "settings" is in use'):
        await world.networks.remove("settings")
    with pytest.raises(WharfError, match="cannot create endpoint on configuration-only network"):
        await world.networks.attach(request("web", "settings"))
    assert await world.networks.prune({}) == ["front"]
    assert await world.networks.prune({}) == ["settings"]


async def test_a_parent_goes_with_the_last_network_that_needs_it(world):
    first = NetworkRequest("first", driver="macvlan", options={"parent": "eth0.7"})
    await world.networks.create(first)
    await world.networks.create(NetworkRequest("second", driver="macvlan", options={"parent": "eth0.7"}))
    await world.networks.remove("first")
    assert world.netlink.parents["eth0.7"] == 7
    await world.networks.remove("second")
    assert "eth0.7" not in world.netlink.parents
    world.netlink.parents["eth0.8"] = 8
    await world.networks.create(NetworkRequest("third", driver="macvlan", options={"parent": "eth0.8"}))
    await world.networks.remove("third")
    assert "eth0.8" in world.netlink.parents


async def test_nobody_shares_a_parent_with_a_network_that_has_it_for_itself(world):
    options = {"parent": "eth0", "macvlan_mode": "passthru"}
    network = await world.networks.create(NetworkRequest("mine", driver="macvlan", options=options))
    with pytest.raises(WharfError) as caught:
        await world.networks.create(NetworkRequest("yours", driver="macvlan", options={"parent": "eth0"}))
    assert str(caught.value) == f"macvlan network {network.id} is already using parent interface eth0 in mode passthru"


async def test_a_container_on_a_parent_has_no_link_on_the_host_and_no_ports(world):
    await world.networks.create(NetworkRequest("lan", driver="macvlan", options={"parent": "eth0"}))
    attached = await world.networks.attach(request("web", "lan", port_bindings={"80/tcp": _port()}))
    (interface,) = world.netlink.spaces[attached.sandbox.id[:12]]
    assert (interface.link.parent, interface.link.mode, interface.host_name) == ("eth0", "bridge", "")
    assert interface.gateways == (attached.networks["lan"].gateway,)
    assert attached.sandbox.ports == {}
    assert not world.firewall.published


async def test_layer_3_needs_no_gateway(world):
    network = await world.networks.create(NetworkRequest("lan", driver="ipvlan", options={"ipvlan_mode": "l3"}))
    attached = await world.networks.attach(request("web", "lan"))
    (interface,) = world.netlink.spaces[attached.sandbox.id[:12]]
    assert network.pools[0].gateway == ""
    assert (interface.gateways, interface.device_routes, interface.mac_address) == ((), (4,), "")


async def test_other_ports_for_a_running_container(world):
    asked = request("web", port_bindings={"80/tcp": _port()})
    before = (await world.networks.attach(asked)).sandbox.ports
    await world.networks.republish(request("web", port_bindings={"80/tcp": _port(), "81/tcp": _port()}))
    after = world.networks.ports("w" * 64)
    assert after["80/tcp"] == before["80/tcp"]
    assert {r.container_port for r in world.firewall.published} == {80, 81}
    world.firewall.failure = OSError(28, "No space left on device")
    with pytest.raises(WharfError):
        await world.networks.republish(request("web", port_bindings={"82/tcp": _port()}))
    assert world.networks.ports("w" * 64) == after
    assert len(world.host_ports._held) == 2
