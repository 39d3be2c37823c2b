"""In which order containers start with the daemon."""

import asyncio

import pytest

from engine.core.model.container import Container, ContainerConfig, Health, HostConfig, State, Status
from engine.domain.containers.start_order import Need, StartOrder, needs


def service(name: str, depends_on: str = "", project: str = "p") -> Container:
    labels = {"com.docker.compose.project": project, "com.docker.compose.service": name}
    if depends_on:
        labels["com.docker.compose.depends_on"] = depends_on
    config = ContainerConfig(labels=labels)
    return Container(id=f"{project}-{name}", name=name, created_at=0, image="", config=config, host_config=HostConfig())


def test_needs_are_found_within_the_project() -> None:
    web = service("web", "db:service_healthy:false,cache:service_started:true,gone:service_started:false")
    found = needs([web, service("db"), service("cache"), service("db", project="other")])
    assert found == {"p-web": [Need("p-db", healthy=True), Need("p-cache")]}


def test_a_circle_is_broken() -> None:
    found = needs([service("a", "b:service_started:false"), service("b", "a:service_started:false")])
    assert found == {"p-b": [Need("p-a")]} or found == {"p-a": [Need("p-b")]}
    assert needs([service("a", "a:service_started:false")]) == {}


def test_without_labels_nobody_waits() -> None:
    plain = Container(id="1", name="x", created_at=0, image="", config=ContainerConfig(), host_config=HostConfig())
    assert needs([plain, service("a")]) == {}


class Table:
    """The health of one container."""

    def __init__(self) -> None:
        self.health = "starting"

    def find(self, _: str) -> Container:
        state = State(status=Status.RUNNING, health=Health(status=self.health))
        config = ContainerConfig()
        return Container(
            id="p-db", name="db", created_at=0, image="", config=config, host_config=HostConfig(), state=state
        )


async def test_a_turn_comes_when_what_is_needed_is_healthy() -> None:
    table = Table()
    order = StartOrder(table)  # type: ignore[arg-type]
    order.plan([service("web", "db:service_healthy:false"), service("db")])
    await order.turn("p-db")
    turn = asyncio.ensure_future(order.turn("p-web"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(turn), 0.05)
    order.tried("p-db")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(turn), 0.05)
    table.health = "unhealthy"
    await asyncio.wait_for(turn, 5)
