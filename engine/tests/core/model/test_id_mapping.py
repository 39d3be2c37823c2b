"""Users and groups of the host that those in a user namespace are."""

import pytest

from engine.core.model.id_mapping import IdMapping, IdRange, NotMapped

_MAPPING = IdMapping(uids=(IdRange(0, 100_000, 1000), IdRange(1000, 5_000, 1)), gids=(IdRange(0, 200_000, 65_536),))


@pytest.mark.parametrize(
    ("inside", "outside"),
    [((0, 0), (100_000, 200_000)), ((999, 7), (100_999, 200_007)), ((1000, 1000), (5_000, 201_000))],
)
def test_each_range_counts(inside, outside):
    assert _MAPPING.outside(*inside) == outside


@pytest.mark.parametrize("ids", [(1001, 0), (0, 65_536)])
def test_what_is_in_no_range_is_refused(ids):
    with pytest.raises(NotMapped, match="is not mapped in the user namespace"):
        _MAPPING.outside(*ids)
