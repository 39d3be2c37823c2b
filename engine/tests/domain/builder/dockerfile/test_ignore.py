"""Patterns of .dockerignore."""

import pytest

from engine.domain.builder.dockerfile.ignore import ignoring, is_left_out, read_patterns


def test_patterns_are_cleaned() -> None:
    assert read_patterns("\ufeff# no\n a/../b/ \n\n!./c//d\n/x\n#y\n") == ["b", "!c/d", "x"]


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("a", "a/b", True),
        ("*.o", "x.o", True),
        ("*.o", "d/x.o", False),
        ("**/*.o", "d/e/x.o", True),
        ("d/**", "d/e", True),
        ("a?c", "abc", True),
        ("[ab]", "b", True),
    ],
)
def test_matches(pattern: str, path: str, expected: bool) -> None:
    is_ignored = ignoring([pattern])
    assert is_ignored is not None
    assert is_ignored(path) is expected


def test_exceptions_make_it_undecidable() -> None:
    assert ignoring(["a", "!a/b"]) is None


def test_the_last_pattern_decides() -> None:
    patterns = ["ignored", "!ignored/subdir/excepted*", "*.md", "!README.md"]
    assert is_left_out(patterns, "ignored/x")
    assert not is_left_out(patterns, "ignored/subdir/excepted-file")
    assert is_left_out(patterns, "a.md")
    assert not is_left_out(patterns, "README.md")
