"""What containers are told when they ask for names."""

from dataclasses import replace

import pytest

from engine.core.model.network import EndpointSettings
from engine.domain.networks.request import NetworkRequest
from engine.domain.networks.resolver import Names, Resolver
from engine.drivers.dns import messages
from engine.drivers.dns.forward import on_host
from engine.tests.domain.networks.fakes import World, request
from engine.tests.drivers.dns.test_messages import question


class Upstream:
    def __init__(self) -> None:
        self.asked: list[str] = []

    async def ask(self, wire, query, servers, opener, *, tcp):
        self.asked.append(query.name)


@pytest.fixture
async def world(tmp_path):
    world = World(tmp_path)
    await world.networks.start()
    await world.networks.create(NetworkRequest("front"))
    await world.networks.create(NetworkRequest("back", internal=True))
    yield world
    await world.close()


def _resolver(world, name):
    names = Names(world.networks._table, world.networks._endpoints)
    upstream = Upstream()
    return names, upstream, Resolver(name[0] * 64, names, upstream, (), on_host)


def _found(names, container, name):
    return sorted(e.container for e in names.endpoints_of(container[0] * 64, name))


async def test_names_aliases_ids_and_hostnames_are_known_on_shared_networks(world):
    await world.networks.attach(request("web", "front"))
    both = {"front": EndpointSettings(aliases=["db", "Store"]), "back": EndpointSettings()}
    await world.networks.attach(replace(request("sql"), networks=both))
    names, _, _ = _resolver(world, "web")
    for name in ("sql", "db", "store", "s" * 12, "sql.front", "db.front"):
        assert _found(names, "web", name) == ["sql"], name
    assert _found(names, "web", "sql.back") == []
    assert _found(names, "web", "web") == ["web"]
    assert _found(names, "sql", "sql.back") == ["sql"]
    await world.networks.detach("s" * 64)
    assert _found(names, "web", "sql") == []


async def test_an_alias_of_several_containers_gives_all_of_them(world):
    for name in ("one", "two"):
        await world.networks.attach(replace(request(name), networks={"front": EndpointSettings(aliases=["app"])}))
    names, _, resolver = _resolver(world, "one")
    assert _found(names, "one", "app") == ["one", "two"]
    reply = await resolver.answer(question("app"), False)
    assert int.from_bytes(reply[6:8], "big") == 2


async def test_links_are_names_of_their_own(world):
    await world.networks.attach(request("web", "front"))
    linked = {"front": EndpointSettings(links=["web:site"])}
    await world.networks.attach(replace(request("app"), networks=linked))
    names, _, _ = _resolver(world, "app")
    assert _found(names, "app", "site") == ["web"]
    assert _found(names, "app", "site.front") == ["web"]
    assert _found(names, "web", "site") == []


async def test_reverse_names_and_missing_families(world):
    endpoint = (await world.networks.attach(request("web", "front"))).networks["front"]
    _, upstream, resolver = _resolver(world, "web")
    reverse = ".".join(reversed(endpoint.ip_address.split("."))) + ".in-addr.arpa"
    assert b"\x03web\x05front\x00" in await resolver.answer(question(reverse, messages.PTR), False)
    empty = await resolver.answer(question("web", messages.AAAA), False)
    assert (messages.code_of(empty), int.from_bytes(empty[6:8], "big")) == (messages.NOERROR, 0)
    assert upstream.asked == []


async def test_other_names_are_asked_outside_but_not_from_internal_networks(world):
    await world.networks.attach(request("web", "front"))
    await world.networks.attach(request("sql", "back"))
    _, upstream, resolver = _resolver(world, "web")
    assert messages.code_of(await resolver.answer(question("example.com"), False)) == messages.SERVFAIL
    assert upstream.asked == ["example.com"]
    _, upstream, resolver = _resolver(world, "sql")
    assert messages.code_of(await resolver.answer(question("example.com"), False)) == messages.SERVFAIL
    assert upstream.asked == []


async def test_rubbish_is_not_answered(world):
    _, _, resolver = _resolver(world, "web")
    assert await resolver.answer(b"\xff" * 40, False) is None
