"""Filters of `POST /build/prune`."""

import pytest

from engine.core import times
from engine.domain.builder.prune_filters import UnusablePruneFilters, read_filters

_HOUR = 3600 * 10**9


def test_conditions():
    assert read_filters({}) == ([], 0)
    assert read_filters({"id": ["a"], "inuse": [], "type": ["regular"], "label": ["x", "y"]}) == (
        ["id~=a,type==regular,inuse"],
        0,
    )


@pytest.mark.parametrize("name", ["until", "unused-for"])
def test_ages(name: str):
    assert read_filters({name: ["24h"]})[1] == pytest.approx(24 * _HOUR, abs=_HOUR)
    instant = f"{(times.now() - 2 * _HOUR) // 10**9}"
    assert read_filters({name: [instant]})[1] == pytest.approx(2 * _HOUR, abs=_HOUR)
    assert read_filters({name: ["-5h"]})[1] == 0


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"foo": ["x"]}, "invalid filter 'foo'"),
        ({"id": ["x", "y"]}, "filters expect only one value"),
        ({"until": ["x"]}, 'failed to parse value as time or duration: "x"'),
        ({"until": ["1h"], "unused-for": ["1h"]}, 'conflicting filters: "until" and "unused-for"'),
    ],
)
def test_what_is_no_filter(filters: dict[str, list[str]], message: str):
    with pytest.raises(UnusablePruneFilters, match=message):
        read_filters(filters)
