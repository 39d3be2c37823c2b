"""References are normalised as Docker does it."""

import pytest

from engine.core import references


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("busybox:1", "docker.io/library/busybox:1", "busybox:1"),
        ("foo/bar", "docker.io/foo/bar", "foo/bar"),
        ("index.docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("docker.io/library/x/y", "docker.io/library/x/y", "library/x/y"),
        ("localhost/x", "localhost/x", "localhost/x"),
        ("127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b:t", "127.0.0.1:5000/a/b:t"),
        (f"a@sha256:{'0' * 64}", f"docker.io/library/a@sha256:{'0' * 64}", f"a@sha256:{'0' * 64}"),
        ("[::1]:5000/x", "[::1]:5000/x", "[::1]:5000/x"),
    ],
)
def test_normalises(text: str, full: str, familiar: str) -> None:
    reference = references.parse(text)
    assert str(reference) == full
    assert reference.familiar == familiar


@pytest.mark.parametrize("text", ["", ":x", "a:", "a@sha256:1", "-a", "a//b", "a b", "a:" + "x" * 129, "a/../b"])
def test_refuses(text: str) -> None:
    with pytest.raises(references.InvalidReference, match="invalid reference format"):
        references.parse(text)


def test_says_that_a_name_looks_like_an_id() -> None:
    with pytest.raises(references.HexadecimalName, match="cannot specify 64-byte hexadecimal strings"):
        references.parse("0" * 64)


def test_says_that_upper_case_is_refused() -> None:
    with pytest.raises(references.InvalidReference) as error:
        references.parse("BAD")
    assert str(error.value) == "invalid reference format: repository name (library/BAD) must be lowercase"


def test_default_tag() -> None:
    assert references.parse("x").with_default_tag().familiar == "x:latest"
    assert references.parse("x:1").with_default_tag().familiar == "x:1"
