"""What is pruned, and in which order."""

import pytest

from engine.domain.builder.prune import PruneOptions, plan
from engine.domain.builder.usage import InvalidCacheFilter, Usage, matches

DAY = 24 * 3600 * 10**9
NOW = 100 * DAY


def usage(name, size=1, **changes):
    return Usage(name, changes.pop("kind", "regular"), changes.pop("description", ""), size, **changes)


def going(found, options=None, free=0):
    options = options or PruneOptions()
    return [u.id for u in plan(found, options, free, NOW)]


def test_children_go_before_parents():
    assert going([usage("a"), usage("b", parents=["a"]), usage("c", parents=["b"])]) == ["c", "b", "a"]


def test_what_is_in_use_stays_with_all_below_it():
    found = [usage("a"), usage("b", parents=["a"], in_use=True), usage("c", parents=["a"])]
    assert going(found) == ["c"]


def test_what_images_share_goes_only_when_all_is_to_go():
    found = [usage("a", shared=True), usage("b"), usage("c", kind="internal"), usage("d", kind="frontend")]
    assert going(found) == ["b"]
    assert sorted(going(found, PruneOptions(all=True))) == ["a", "b", "c", "d"]


def test_what_was_used_lately_stays():
    found = [usage("old", used_at=NOW - 3 * DAY), usage("new", used_at=NOW - DAY)]
    assert going(found, PruneOptions(keep_duration=2 * DAY)) == ["old"]


@pytest.mark.parametrize(
    ("options", "free", "expected"),
    [
        (PruneOptions(max_used=25), 0, ["a"]),
        (PruneOptions(max_used=5), 0, ["a", "b", "c"]),
        (PruneOptions(max_used=30), 0, []),
        (PruneOptions(reserved=15), 0, ["a", "b"]),
        (PruneOptions(max_used=5, reserved=15), 0, ["a", "b"]),
        (PruneOptions(min_free=100), 100, []),
        (PruneOptions(min_free=100), 85, ["a", "b"]),
        (PruneOptions(min_free=100, reserved=20), 50, ["a"]),
    ],
)
def test_sizes_say_how_much_goes_the_oldest_first(options, free, expected):
    found = [usage("c", 10, used_at=3), usage("a", 10, used_at=1), usage("b", 10, used_at=2)]
    assert going(found, options, free) == expected


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ((), True),
        (("",), True),
        (("type==regular",), True),
        (("type!=regular",), False),
        (("type==regular,inuse",), False),
        (("inuse", "type==regular"), True),
        (("id~=^ab",), True),
        (('id=="abc"',), True),
        (("private",), True),
        (("shared",), False),
        (("description~=one",), True),
        (("parent",), False),
        (("unknown==1",), False),
    ],
)
def test_filters(filters, fits):
    assert matches(usage("abc", description="step one"), filters) is fits


@pytest.mark.parametrize("text", ["=", "type==a,,b", "type,=", "id~=["])
def test_filters_that_are_none(text):
    with pytest.raises(InvalidCacheFilter):
        matches(usage("abc"), [text])
