"""The build cache: `POST /build/prune` and its part of `GET /system/df`."""

import json
import urllib.parse
from collections.abc import Iterator

import pytest

from compat_tests.clients.daemon import Daemon
from compat_tests.clients.rawhttp import RawHttp


@pytest.fixture(autouse=True)
def nothing_cached(engine: Daemon) -> Iterator[None]:
    yield
    engine.api.request("POST", "/build/prune?all=1")


def prune(api: RawHttp, filters: object) -> tuple[int, object]:
    text = filters if isinstance(filters, str) else json.dumps(filters)
    answer = api.request("POST", f"/build/prune?filters={urllib.parse.quote(text)}")
    return answer.status, answer.json()


def test_an_empty_cache(api: RawHttp) -> None:
    assert api.get("/system/df?type=build-cache")["BuildCache"] == []
    answer = api.request("POST", "/build/prune")
    assert (answer.status, answer.json()) == (200, {"CachesDeleted": None, "SpaceReclaimed": 0})


@pytest.mark.parametrize("name", ["keep-storage", "reserved-space", "max-used-space", "min-free-space"])
def test_sizes_are_numbers(api: RawHttp, name: str) -> None:
    answer = api.request("POST", f"/build/prune?{name}=x")
    reason = 'strconv.Atoi: parsing "x": invalid syntax'
    assert answer.status == 400
    assert answer.json() == {"message": f"{name} is in bytes and expects an integer, got x: {reason}"}


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ("bad", "invalid filter"),
        ({"foo": ["x"]}, "failed to prune build cache: invalid filter 'foo'"),
        ({"parents": ["x"]}, "failed to prune build cache: invalid filter 'parents'"),
        ({"id": ["x", "y"]}, "failed to prune build cache: filters expect only one value"),
        (
            {"until": ["x"]},
            (
                "failed to prune build cache: \"until\" filter expects a duration (e.g., '24h') or a timestamp: "
                'failed to parse value as time or duration: "x"'
            ),
        ),
        (
            {"until": ["1h"], "unused-for": ["1h"]},
            'failed to prune build cache: conflicting filters: "until" and "unused-for"',
        ),
    ],
)
def test_filters_that_are_none(api: RawHttp, filters: object, message: str) -> None:
    assert prune(api, filters) == (400, {"message": message})


@pytest.mark.parametrize(
    "filters",
    [
        {"id": ["x"]},
        {"parent": ["x"]},
        {"type": {"regular": True}},
        {"inuse": []},
        {"shared": ["true"]},
        {"private": []},
        {"until": ["24h"]},
        {"unused-for": ["24h"]},
        {"until": ["1700000000"]},
        {"label": ["a"]},
    ],
)
def test_filters(api: RawHttp, filters: object) -> None:
    assert prune(api, filters) == (200, {"CachesDeleted": None, "SpaceReclaimed": 0})


def test_cancel_wants_to_know_what(api: RawHttp) -> None:
    answer = api.request("POST", "/build/cancel")
    assert (answer.status, answer.json()) == (400, {"message": "build ID not provided"})
    assert api.request("POST", "/build/cancel?id=x").status == 200
