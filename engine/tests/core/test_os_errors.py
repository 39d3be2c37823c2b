"""Errors of the kernel in Go's words."""

import errno
import os
from pathlib import Path

import pytest

from engine.core import os_errors


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "no space left on device"),
        (OSError(errno.ENOENT, os.strerror(errno.ENOENT), "/x"), "open /x: no such file or directory"),
        (OSError(errno.EACCES, os.strerror(errno.EACCES), b"/\xff"), "open /\\xff: permission denied"),
        (OSError(errno.EXDEV, os.strerror(errno.EXDEV), "/a", None, "/b"), "rename /a /b: invalid cross-device link"),
        (OSError(errno.EIO, "a word of one's own", "/x"), "open /x: a word of one's own"),
        (OSError("only a text"), "only a text"),
    ],
)
def test_text(error, text):
    assert os_errors.text(error) == text


def test_the_call_can_be_named():
    with pytest.raises(FileNotFoundError) as raised:
        Path("/nosuch/directory").mkdir()
    assert os_errors.text(raised.value, "mkdir") == "mkdir /nosuch/directory: no such file or directory"
