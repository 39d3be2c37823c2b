"""The route table: bare and versioned paths, names with slashes, versions that are not spoken."""

import pytest

from engine.api.routing import Route, Router, split_version
from engine.api.version import NEWEST, TooNew, TooOld, require_spoken


async def _one(_):
    raise AssertionError


async def _two(_):
    raise AssertionError


ROUTER = Router(
    [
        Route("GET", "/images/json", _one),
        Route("GET", "/images/{name:.*}/json", _two),
        Route("DELETE", "/images/{name:.*}", _one, finishes=True),
    ]
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1.41/images/json", ("1.41", "/images/json")),
        ("/images/json", ("", "/images/json")),
        ("/version", ("", "/version")),
    ],
)
def test_the_version_prefix_is_split_off(path, expected):
    assert split_version(path) == expected


def test_an_exact_path_wins_over_a_variable_one():
    assert ROUTER.find("GET", "/images/json").handler is _one


def test_a_name_may_hold_slashes_and_colons():
    match = ROUTER.find("GET", "/images/127.0.0.1:5000/a/b:1/json")
    assert (match.handler, match.variable, match.value) == (_two, "name", "127.0.0.1:5000/a/b:1")


def test_routes_that_finish_say_so():
    assert ROUTER.find("DELETE", "/images/a").finishes
    assert not ROUTER.find("GET", "/images/a/json").finishes


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/images/json"), ("GET", "/nowhere"), ("GET", "/"), ("GET", "/images")]
)
def test_what_is_no_route_is_not_found(method, path):
    assert ROUTER.find(method, path) is None


def test_no_prefix_means_the_newest_version():
    assert require_spoken("") == NEWEST


@pytest.mark.parametrize("text", ["1.24", "1.51"])
def test_versions_within_the_range_are_spoken(text):
    assert require_spoken(text) == tuple(int(part) for part in text.split("."))


def test_other_versions_are_refused_in_dockers_words():
    with pytest.raises(TooNew, match=r"client version 1\.52 is too new\. Maximum supported API version is 1\.51"):
        require_spoken("1.52")
    with pytest.raises(TooOld, match=r"client version 1\.23 is too old\. Minimum supported API version is 1\.24"):
        require_spoken("1.23")
