"""Filters of `docker ps` and of prune."""

import pytest

from engine.core.filters import InvalidFilter
from engine.core.model.container import Container, ContainerConfig, HostConfig, State, Status
from engine.domain.containers.selection import Listing, prunable, select


def make(name: str, created: int, status: Status, **config: object) -> Container:
    return Container(
        id=name * 16,
        name=name,
        created_at=created,
        image="sha256:1",
        config=ContainerConfig(**config),
        host_config=HostConfig(),
        state=State(status=status, exit_code=3 if status is Status.EXITED else 0),
    )


ALL = [
    make("run1", 1, Status.RUNNING, labels={"a": "b"}),
    make("old2", 2, Status.EXITED, image="busybox"),
    make("new3", 3, Status.CREATED),
]


def names(**listing: object) -> list[str]:
    return [c.name for c in select(ALL, Listing(**listing), lambda name: None)]


def test_lists_running_ones_unless_told_otherwise() -> None:
    assert names() == ["run1"]
    assert names(all=True) == ["new3", "old2", "run1"]
    assert names(last=2) == ["new3", "old2"]


def test_filters() -> None:
    assert names(filters={"status": ["exited"]}) == ["old2"]
    assert names(filters={"exited": ["3"]}) == ["old2"]
    assert names(all=True, filters={"label": ["a=b"]}) == ["run1"]
    assert names(all=True, filters={"ancestor": ["busybox"]}) == ["old2"]
    assert names(all=True, filters={"before": ["old2"]}) == ["run1"]
    assert names(all=True, filters={"name": ["^/new"]}) == ["new3"]


@pytest.mark.parametrize("filters", [{"bogus": ["1"]}, {"status": ["bogus"]}, {"exited": ["x"]}])
def test_refuses_unknown_filters(filters: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidFilter, match="invalid filter"):
        names(filters=filters)


def test_prune_takes_what_does_not_run() -> None:
    assert {c.name for c in prunable(ALL, {})} == {"old2", "new3"}
    assert {c.name for c in prunable(ALL, {"until": ["1970-01-01T00:00:00.000000003Z"]})} == {"old2"}
