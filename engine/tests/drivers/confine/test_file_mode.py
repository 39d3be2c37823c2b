"""Modes of `COPY --chmod`, each as real BuildKit makes it."""

import stat

import pytest

from engine.drivers.confine.failures import CopyRefused
from engine.drivers.confine.file_mode import changed

FILE, PROGRAM, DIRECTORY = stat.S_IFREG | 0o644, stat.S_IFREG | 0o755, stat.S_IFDIR | 0o2775


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("640", FILE, 0o640),
        ("7777", FILE, 0o7777),
        ("u+rwX,go-w", FILE, 0o644),
        ("u=rwX,go=rX", DIRECTORY, 0o755),
        ("a+x", FILE, 0o755),
        ("+t", FILE, 0o1644),
        ("u+t", FILE, 0o1644),
        ("o+t", FILE, 0o644),
        ("g+s", FILE, 0o2644),
        ("g=u,o=g", DIRECTORY, 0o2777),
        ("u+w-x,g=o", DIRECTORY, 0o2655),
        ("a=rx", DIRECTORY, 0o555),
        ("a=,u+X,g+rX", PROGRAM, 0o150),
        ("a=,u+X,g+rX", FILE, 0o040),
    ],
)
def test_modes(text: str, before: int, after: int) -> None:
    assert oct(changed(text, before)) == oct(after)


def test_what_is_no_mode() -> None:
    with pytest.raises(CopyRefused, match="invalid chmod parameter: '9x'"):
        changed("9x", FILE)
