"""`--userns-remap`: whose ids."""

import pytest

from engine.core.model.id_mapping import IdMapping, IdRange
from engine.drivers.linux.subids import RemapFailed, mapping_for, ranges

SUBUID = "other:100000:65536\nme:300000:1000\n# me:1:2\nme:bad:9\nme:500000:64536\n"


def test_ranges_follow_each_other() -> None:
    assert ranges(SUBUID, "me", "subuid") == (IdRange(0, 300000, 1000), IdRange(1000, 500000, 64536))


def test_who_has_none() -> None:
    with pytest.raises(RemapFailed, match='no subuid ranges found for user "you"'):
        ranges(SUBUID, "you", "subuid")


@pytest.mark.parametrize("setting", ["no-such-user", "root:no-such-group", "4294967290", "999999999999999999999"])
def test_who_does_not_exist(setting: str) -> None:
    with pytest.raises(RemapFailed, match="there is no"):
        mapping_for(setting)


def test_root_of_a_mapping() -> None:
    mapping = IdMapping(uids=(IdRange(0, 5, 1), IdRange(1, 9, 9)), gids=(IdRange(0, 6, 10),))
    assert mapping.root == (5, 6)
