"""A program that is run from memory, and that nobody can change."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from engine.drivers.runtime.sealed import sealed_copy


def test_the_copy_runs_and_is_sealed(tmp_path):
    link = tmp_path / "echo"
    link.symlink_to("what an earlier daemon left")
    fd = sealed_copy(Path("/bin/echo"), link)
    try:
        assert subprocess.run([link, "hello"], capture_output=True, check=True).stdout == b"hello\n"
        every = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) == every
        with pytest.raises(PermissionError):
            os.pwrite(fd, b"x", 0)
    finally:
        os.close(fd)


def test_a_script_is_left_alone(tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho $0\n")
    with pytest.raises(OSError, match="Exec format"):
        sealed_copy(script, tmp_path / "link")


def test_what_cannot_be_copied_leaves_no_link(tmp_path):
    link = tmp_path / "nothing"
    with pytest.raises(FileNotFoundError):
        sealed_copy(tmp_path / "missing", link)
    assert not link.is_symlink()
