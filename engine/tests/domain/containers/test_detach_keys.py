"""The sequence by which a client leaves a terminal."""

import pytest

from engine.domain.containers import detach_keys
from engine.domain.containers.detach_keys import EscapeScanner, InvalidDetachKeys


def test_parses_the_default_and_single_characters() -> None:
    assert detach_keys.parse("") == b"\x10\x11"
    assert detach_keys.parse("a,ctrl-[,ctrl-A") == b"a\x1b\x01"


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "ab", ","])
def test_refuses(text: str) -> None:
    with pytest.raises(InvalidDetachKeys, match="Invalid detach keys"):
        detach_keys.parse(text)


def test_finds_the_sequence_across_reads() -> None:
    scanner = EscapeScanner(b"\x10\x11")
    assert scanner.feed(b"hi\x10") == (b"hi", False)
    assert scanner.feed(b"\x11dropped") == (b"", True)


def test_passes_on_what_only_began_like_it() -> None:
    scanner = EscapeScanner(b"\x10\x11")
    assert scanner.feed(b"\x10x") == (b"\x10x", False)
    assert scanner.feed(b"\x10\x10\x11") == (b"\x10", True)
