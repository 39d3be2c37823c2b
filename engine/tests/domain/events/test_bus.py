"""The event bus: order, replay, filters, slow subscribers, restart."""

import asyncio
import logging

import pytest

from engine.core import times
from engine.core.model.event import Event, EventType
from engine.domain.events import bus as bus_module
from engine.domain.events.bus import EventBus
from engine.domain.events.filter import matcher
from engine.state.store import Store


@pytest.fixture
async def store(tmp_path):
    store = Store(tmp_path / "wharf.db")
    yield store
    store.close()


def publish(bus, action, kind=EventType.CONTAINER, actor="c1", **attributes):
    return bus.publish(kind, action, actor, attributes)


async def test_times_are_unique_and_increase(store):
    bus = EventBus(store)
    stamps = [publish(bus, "create").time for _ in range(100)]
    assert stamps == sorted(set(stamps))
    await bus.close()


async def test_live_and_replayed_events_come_in_order(store):
    bus = EventBus(store)
    first = publish(bus, "create")
    with bus.subscribe(since=first.time) as events:
        publish(bus, "start")
        assert [(await anext(events)).action for _ in range(2)] == ["create", "start"]
    assert bus.subscribers == 0
    await bus.close()


async def test_without_since_nothing_is_replayed(store):
    bus = EventBus(store)
    publish(bus, "create")
    with bus.subscribe() as events:
        publish(bus, "die")
        assert (await anext(events)).action == "die"
    await bus.close()


async def test_until_ends_the_stream(store):
    bus = EventBus(store)
    old = publish(bus, "create")
    assert [e async for e in bus.subscribe(since=1, until=old.time)] == [old]
    async with asyncio.timeout(2):
        soon = [e async for e in bus.subscribe(until=times.now() + 30_000_000)]
    assert soon == []
    await bus.close()


async def test_events_survive_a_restart_and_the_log_is_bounded(store):
    bus = EventBus(store, capacity=10)
    sent = [publish(bus, f"a{i}") for i in range(25)]
    await bus.close()
    again = EventBus(store, capacity=10)
    assert [e async for e in again.subscribe(since=1, until=sent[-1].time)] == sent[-10:]
    assert publish(again, "x").time > sent[-1].time
    await again.close()


async def test_a_slow_subscriber_is_ended_and_the_publisher_does_not_wait(store, caplog, monkeypatch):
    monkeypatch.setattr(bus_module, "BACKLOG", 5)
    bus = EventBus(store)
    subscription = bus.subscribe()
    with caplog.at_level(logging.WARNING):
        for _ in range(10):
            publish(bus, "create")
    assert "does not keep up" in caplog.text
    assert len([e async for e in subscription]) == 5
    await bus.close()


def event(action="start", kind=EventType.CONTAINER, actor="abc123", **attributes):
    return Event(type=kind, action=action, actor=actor, attributes=attributes, time=1)


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, True),
        ({"bogus": ["x"]}, True),
        ({"event": ["start"]}, True),
        ({"event": ["sta"]}, False),
        ({"event": ["die", "start"]}, True),
        ({"type": ["container"]}, True),
        ({"type": ["image"]}, False),
        ({"container": ["abc"]}, True),
        ({"container": ["web"]}, True),
        ({"container": ["nope"]}, False),
        ({"image": ["busybox"]}, True),
        ({"image": ["busybox:1"]}, True),
        ({"image": ["busy"]}, False),
        ({"label": ["k"]}, True),
        ({"label": ["k=v"]}, True),
        ({"label": ["k=w"]}, False),
        ({"label": ["k", "other"]}, False),
        ({"scope": ["swarm"]}, False),
        ({"type": ["container"], "event": ["die"]}, False),
    ],
)
def test_filters(filters, wanted):
    assert matcher(filters)(event(name="webserver", image="busybox:1", k="v")) is wanted


def test_actions_with_a_colon_match_by_prefix():
    assert matcher({"event": ["exec_create"]})(event("exec_create: sh -c true"))
    assert matcher({"event": ["health_status"]})(event("health_status: healthy"))
    assert matcher({"event": ["health_status: healthy"]})(event("health_status: healthy"))


def test_image_events_match_by_their_own_name():
    assert matcher({"image": ["localhost:5000/a"]})(
        event("pull", EventType.IMAGE, "sha256:1", name="localhost:5000/a:1")
    )
