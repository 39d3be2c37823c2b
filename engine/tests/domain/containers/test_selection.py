"""Filters of `docker ps` and of prune. The table is what dockerd 28.5 answered for the same seven containers."""

import re

import pytest

from engine.core.errors import NotFound, WharfError
from engine.core.model.container import (
    Container,
    ContainerConfig,
    Empty,
    Health,
    HostConfig,
    MountPoint,
    Sandbox,
    State,
    Status,
)
from engine.core.model.network import EndpointSettings, PortBinding
from engine.domain.containers.selection import Listing, prunable, select

NETWORK = "e7b6210a16b01ae670e256e335697ca5bff987ba3eb6476389c84c77dd31bb1a"
IMAGES = {"busybox": "sha256:b", "rich": "sha256:r", "rich:latest": "sha256:r", "sha256:r": "sha256:r"}


def make(name: str, created: int, status: Status, *, image="busybox", network="bridge", **more) -> Container:
    endpoint = EndpointSettings(network_id=NETWORK if network == "tn1" else "")
    ports = more.get("ports", {})
    return Container(
        id=f"{created}4b457{created}".ljust(64, "0"),
        name=name,
        created_at=created,
        image=IMAGES[image],
        config=ContainerConfig(
            image=image, labels=more.get("labels"), exposed_ports={p: Empty() for p in more.get("exposed", ())}
        ),
        host_config=HostConfig(network_mode=network),
        networks={network: endpoint},
        mounts=more.get("mounts", []),
        sandbox=Sandbox(ports=ports),
        state=State(status=status, exit_code=more.get("code", 0), health=more.get("health")),
    )


ALL = [
    make(
        "run1",
        1,
        Status.RUNNING,
        labels={"k": "v", "x": ""},
        exposed=["80/tcp", "53/udp"],
        ports={"80/tcp": [PortBinding(host_ip="0.0.0.0", host_port="8090")], "53/udp": None},
        mounts=[
            MountPoint(type="volume", name="v1", source="/volumes/v1", destination="/data"),
            MountPoint(type="bind", source="/src", destination="/b"),
        ],
    ),
    make(
        "web-2",
        2,
        Status.RUNNING,
        image="rich",
        network="tn1",
        labels={"k": "w"},
        exposed=["80/tcp", "443/tcp", "53/udp"],
        mounts=[MountPoint(type="volume", name="anon", source="/volumes/anon", destination="/data")],
        health=Health(),
    ),
    make("ex0", 3, Status.EXITED),
    make("ex3", 4, Status.EXITED, code=3),
    make("crt", 5, Status.CREATED),
    make("paused1", 6, Status.PAUSED),
    make("netnone", 7, Status.RUNNING, network="none"),
]
RUN1 = ALL[0].id
EVERY = "netnone paused1 crt ex3 ex0 web-2 run1"
BUSYBOX = "netnone paused1 crt ex3 ex0 run1"


def names(**listing: object) -> str:
    return " ".join(c.name for c in select(ALL, Listing(**listing), IMAGES.get))


def test_lists_running_ones_unless_told_otherwise() -> None:
    assert names() == "netnone paused1 web-2 run1"
    assert names(all=True) == EVERY
    assert names(last=2) == "netnone paused1"
    assert names(last=2, filters={"status": ["running"]}) == "netnone web-2"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"status": ["exited"]}, "ex3 ex0"),
        ({"status": ["created"]}, "crt"),
        ({"status": ["exited", "created"]}, "crt ex3 ex0"),
        ({"status": []}, "netnone paused1 web-2 run1"),
        ({"exited": ["0"]}, ""),
        ({"since": ["run1"]}, "netnone paused1 web-2"),
    ],
)
def test_without_all(filters, expected) -> None:
    assert names(filters=filters) == expected


@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("exited", ["0"], "ex0"),
        ("exited", ["3", "0"], "ex3 ex0"),
        ("name", ["run"], "run1"),
        ("name", ["^/run1$"], "run1"),
        ("name", ["^run1$"], "run1"),
        ("name", ["["], ""),
        ("name", ["RUN"], ""),
        ("name", ["web-2", "ex"], "ex3 ex0 web-2"),
        ("id", [RUN1], "run1"),
        ("id", [RUN1[:5]], "run1"),
        ("id", [RUN1[3:8]], ""),
        ("id", [""], ""),
        ("label", ["k"], "web-2 run1"),
        ("label", ["k=v", "x"], "run1"),
        ("label", ["k=v", "k=w"], ""),
        ("label", ["x="], "run1"),
        ("ancestor", ["busybox"], BUSYBOX),
        ("ancestor", ["rich:latest"], "web-2"),
        ("ancestor", ["nope"], ""),
        ("ancestor", ["busybox", "rich"], EVERY),
        ("before", ["ex0"], "web-2 run1"),
        ("before", ["ex0", "crt"], "ex3 ex0 web-2 run1"),
        ("since", ["ex0"], "netnone paused1 crt ex3"),
        ("volume", ["v1"], "run1"),
        ("volume", ["/data"], "web-2 run1"),
        ("volume", ["/src"], "run1"),
        ("volume", ["v"], ""),
        ("network", ["tn1"], "web-2"),
        ("network", [NETWORK[:10]], "web-2"),
        ("network", ["none"], "netnone"),
        ("network", ["host"], ""),
        ("publish", ["8090"], "run1"),
        ("publish", ["8090/tcp"], "run1"),
        ("publish", ["8080-8100"], "run1"),
        ("publish", ["80"], ""),
        ("expose", ["80"], "web-2 run1"),
        ("expose", ["53/udp"], "web-2 run1"),
        ("expose", ["53"], ""),
        ("expose", ["50-90"], "web-2 run1"),
        ("health", ["none"], BUSYBOX),
        ("health", ["starting"], "web-2"),
        ("isolation", ["bogus"], EVERY),
        ("is-task", ["true"], ""),
        ("is-task", ["false"], EVERY),
    ],
)
def test_filters(key, values, expected) -> None:
    assert names(all=True, filters={key: values}) == expected


HEALTH = "none, starting, healthy, unhealthy"
STATES = "created, running, paused, restarting, removing, exited, dead"


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"bogus": ["1"]}, "invalid filter 'bogus'"),
        ({"label!": ["k"]}, "invalid filter 'label!'"),
        (
            {"status": ["Running"]},
            f"invalid filter 'status=Running': invalid value for state (Running): must be one of {STATES}",
        ),
        (
            {"health": ["bogus"]},
            f"invalid filter 'health=bogus': invalid value for health (bogus): must be one of {HEALTH}",
        ),
        ({"exited": ["x"]}, "invalid filter 'exited=x': strconv.Atoi: parsing \"x\": invalid syntax"),
        ({"is-task": ["x"]}, "invalid filter 'is-task=[x]'"),
        ({"publish": ["x"]}, 'error while looking up for publish x: strconv.ParseUint: parsing "x": invalid syntax'),
        ({"expose": ["x"]}, 'error while looking up for expose x: strconv.ParseUint: parsing "x": invalid syntax'),
    ],
)
def test_refuses_what_makes_no_sense(filters, message) -> None:
    with pytest.raises(WharfError, match=f"^{re.escape(message)}$"):
        names(filters=filters)


def test_a_peer_that_does_not_exist() -> None:
    with pytest.raises(NotFound, match="No such container: nope"):
        names(filters={"before": ["nope"]})


def test_prune_takes_what_does_not_run() -> None:
    assert {c.name for c in prunable(ALL, {})} == {"ex0", "ex3", "crt"}
    assert {c.name for c in prunable(ALL, {"until": ["1970-01-01T00:00:00.000000004Z"]})} == {"ex0"}
    assert not list(prunable(ALL, {"label": ["nope"]}))


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"bogus": ["x"]}, "invalid filter 'bogus'"),
        ({"until": ["x"]}, 'failed to parse value as time or duration: "x"'),
        ({"until": ["1h", "2h"]}, "more than one until filter specified"),
    ],
)
def test_prune_refuses(filters, message) -> None:
    with pytest.raises(WharfError, match=f"^{re.escape(message)}$"):
        prunable(ALL, filters)
