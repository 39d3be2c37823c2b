"""What registries say about errors."""

import pytest

from engine.drivers.registry.answers import error_in, worded


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"errors":[{"code":"NAME_UNKNOWN","message":"not here"}]}', ("NAME_UNKNOWN", "not here")),
        (b'{"errors":[{"message":"no code"}]}', ("UNKNOWN", "no code")),
        (b'{"errors":[{"code":"DENIED"}]}', ("DENIED", "")),
        (b'{"errors":[]}', ("", "")),
        (b'{"errors":[7]}', ("", "")),
        (b'{"errors":[{"code":7,"message":[]}]}', ("", "")),
        (b"[]", ("", "")),
        (b"<html>", ("", "")),
        (b"\xff", ("", "")),
        (b"", ("", "")),
    ],
)
def test_errors(body, found):
    assert error_in(body) == found


def test_words():
    assert worded("NAME_UNKNOWN") == "name unknown"
