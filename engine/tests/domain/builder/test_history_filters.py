"""Filters of the history of builds."""

import pytest

from engine.core.model.build import BuildFailure, BuildRecord
from engine.domain.builder.history_filters import InvalidHistoryFilter, matches

_HOUR = 3600 * 10**9
_NOW = 1_700_000_000 * 10**9
_GOOD = BuildRecord(ref="good", created=_NOW - 2 * _HOUR, completed=_NOW - _HOUR)
_BAD = BuildRecord(ref="bad", created=_NOW - 30, completed=_NOW - 20, failure=BuildFailure(code=2, message="x"))
_GONE = BuildRecord(ref="gone", created=_NOW - 40, completed=_NOW, failure=BuildFailure(code=1, message="x"))
_RUNS = BuildRecord(ref="runs", created=_NOW - 10, options={"context": "https://example.com/x.git"})


def _found(*filters):
    return " ".join(record.ref for record in (_GOOD, _BAD, _GONE, _RUNS) if matches(record, filters, _NOW))


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([], "good bad gone runs"),
        (["status==error"], "bad"),
        (["status!=error"], "good gone runs"),
        (["status==completed", "status==running"], "good runs"),
        (["status==canceled"], "gone"),
        (["ref~=^g,status==completed"], "good"),
        (["repository~=example"], "runs"),
        (["duration>30m"], "good"),
        (["duration<=1h"], "good bad gone runs"),
        (["startedAt>1h"], "bad gone runs"),
        (["startedAt<2023-11-14T21:00:00Z"], "good"),
        (["completedAt<30m"], "good"),
        (["nothing==x"], ""),
    ],
)
def test_filters(filters, found):
    assert _found(*filters) == found


@pytest.mark.parametrize("text", ["status", "status<x", "duration>x", "startedAt>yesterday", "ref~=("])
def test_what_is_no_filter(text):
    with pytest.raises(InvalidHistoryFilter):
        _found(text)
