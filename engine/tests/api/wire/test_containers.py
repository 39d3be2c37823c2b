"""Containers in JSON, compared with what dockerd 28.5 showed of the same ones (`recorded_containers.json`)."""

import json
from pathlib import Path

import msgspec
import pytest

from engine.api.wire import containers as wire
from engine.core import times
from engine.core.model.container import Health, State, Status
from engine.core.model.exec import Exec, ExecConfig
from engine.domain.containers.top import Processes
from engine.tests.recorded_container import container_of

RECORDED = json.loads((Path(__file__).parent / "recorded_containers.json").read_text())


class Images:
    """One name, which points at one image."""

    def __init__(self, known):
        self._known = known

    def id_of(self, reference):
        return self._known.get(reference)


CASES = [(name, version) for name in ("lst", "lst2") for version in RECORDED[name]]


def parsed(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)


@pytest.mark.parametrize(("name", "version"), CASES)
def test_inspect_is_what_dockerd_shows(name, version):
    shown = RECORDED[name][version]["inspect"]
    container = container_of(RECORDED[name]["1.51"]["inspect"])
    # What passes between two calls: the log of health checks.
    shown["State"].get("Health", {})["Log"] = RECORDED[name]["1.51"]["inspect"]["State"].get("Health", {}).get("Log")
    sizes = (shown["SizeRw"], shown["SizeRootFs"])
    extras = wire.InspectExtras(exec_ids=shown["ExecIDs"] or (), sizes=sizes)
    encoded = json.loads(msgspec.json.encode(wire.encode_inspect(container, parsed(version), extras)))
    for answer in (encoded, shown):
        answer["Mounts"].sort(key=lambda m: m["Destination"])
    assert encoded == shown
    assert list(encoded) == list(shown)
    for section in ("HostConfig", "Config", "NetworkSettings", "State"):
        assert list(encoded[section]) == list(shown[section])


@pytest.mark.parametrize(("name", "version"), CASES)
def test_a_summary_is_what_dockerd_shows(name, version, monkeypatch):
    shown = RECORDED[name][version]["summary"]
    inspected = RECORDED[name]["1.51"]["inspect"]
    container = container_of(inspected)
    age = 1 if name == "lst2" else 2
    monkeypatch.setattr(
        times, "now", lambda: max(container.state.started_at, container.state.finished_at) + age * 10**9
    )
    images = Images({container.config.image: container.image})
    extras = wire.SummaryExtras(images, (shown["SizeRw"], shown["SizeRootFs"]))
    encoded = json.loads(msgspec.json.encode(wire.encode_summary(container, parsed(version), extras)))
    for summary in (encoded, shown):
        summary["Mounts"].sort(key=lambda m: m["Destination"])
        summary["Ports"].sort(key=lambda p: (p["Type"], p["PrivatePort"]))
    assert encoded == shown
    assert list(encoded) == list(shown)


def test_a_moved_name_is_replaced_by_the_image_id():
    container = container_of(RECORDED["lst"]["1.51"]["inspect"])
    for images in (Images({"rich": "sha256:other"}), Images({})):
        assert wire.encode_summary(container, (1, 51), wire.SummaryExtras(images))["Image"] == container.image


SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (State(), "Created"),
        (State(status=Status.RUNNING, started_at=700 * SECOND), "Up 5 minutes"),
        (State(status=Status.PAUSED, started_at=700 * SECOND), "Up 5 minutes (Paused)"),
        (State(status=Status.RUNNING, started_at=700 * SECOND, health=Health()), "Up 5 minutes (health: starting)"),
        (
            State(status=Status.RUNNING, started_at=700 * SECOND, health=Health(status="unhealthy")),
            "Up 5 minutes (unhealthy)",
        ),
        (
            State(status=Status.RESTARTING, exit_code=3, started_at=1, finished_at=998 * SECOND),
            "Restarting (3) 2 seconds ago",
        ),
        (
            State(status=Status.EXITED, exit_code=137, started_at=1, finished_at=997 * SECOND),
            "Exited (137) 3 seconds ago",
        ),
        (State(status=Status.REMOVING, started_at=1), "Removal In Progress"),
        (State(status=Status.DEAD, dead=True, started_at=1), "Dead"),
        (State(status=Status.CREATED, exit_code=127), "Created"),
    ],
)
def test_the_status_column(state, text, monkeypatch):
    monkeypatch.setattr(times, "now", lambda: 1000 * SECOND)
    assert wire.describe(state) == text


def test_an_exec_is_what_dockerd_shows():
    shown = RECORDED["exec"]
    config = ExecConfig(cmd=["sleep", "100"], user="root", attach_stdout=True, detach_keys="ctrl-a")
    instance = Exec(id=shown["ID"], container_id=shown["ContainerID"], config=config, running=True, pid=shown["Pid"])
    assert wire.encode_exec(instance) == shown
    assert list(wire.encode_exec(instance)) == list(shown)


def test_top():
    assert wire.encode_top(Processes(["PID"], [["1"]])) == {"Processes": [["1"]], "Titles": ["PID"]}
