"""Null bytes in configurations."""

from typing import Any

import pytest

from engine.drivers.runtime.configuration import NullByte, encoded


@pytest.mark.parametrize("document", [{"args": ["a\0"]}, {"mounts": [{"destination": "/x\0y"}]}, {"\0": 1}])
def test_null_bytes_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(NullByte, match="value contains null byte"):
        encoded(document)


def test_what_looks_like_one_is_none() -> None:
    assert encoded({"args": ["\\u0000"]}) == b'{"args":["\\\\u0000"]}'
