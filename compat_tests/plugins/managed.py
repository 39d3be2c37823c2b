"""Archives of managed plugins: a configuration and a tree of one static program, compiled from `driver.c`."""

import functools
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest

_SOURCE = Path(__file__).with_name("driver.c")
TAR = {"Content-Type": "application/x-tar"}


@functools.cache
def _program() -> bytes:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc on this machine")
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory) / "driver"
        argv = ["gcc", "-static", "-O1", "-D_GNU_SOURCE", "-o", str(program), str(_SOURCE)]
        subprocess.run(argv, check=True, capture_output=True)
        return program.read_bytes()


def config(**changes: Any) -> dict[str, Any]:
    """A volume driver's configuration: the keys in the spelling of Docker's documentation."""
    return {
        "description": "a driver for tests",
        "documentation": "https://example.org",
        "entrypoint": ["/driver", "one"],
        "interface": {"types": ["docker.volumedriver/1.0"], "socket": "test.sock"},
        "propagatedMount": "/data",
        "args": {"name": "args", "settable": ["value"], "value": ["two"]},
        "env": [
            {"name": "COLOUR", "settable": ["value"], "value": "red"},
            {"name": "DIE", "settable": ["value"], "value": "0"},
            {"name": "FIXED", "value": "f"},
        ],
        "linux": {"capabilities": ["CAP_SYS_ADMIN"]},
        **changes,
    }


def archive(configuration: dict[str, Any] | bytes | None, label: str = "", *, program: bool = True) -> bytes:
    """What `docker plugin create` sends; without the program it is small, for requests that must fail.

    `label` is in the tree, too: dockerd fails at times to take one that it has already.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        if configuration is not None:
            is_bytes = isinstance(configuration, bytes)
            _add(tar, "config.json", configuration if is_bytes else json.dumps(configuration).encode(), 0o644)
        for directory in ("rootfs", "rootfs/data", "rootfs/mounted"):
            _add(tar, directory, b"", 0o755, tarfile.DIRTYPE)
        _add(tar, "rootfs/label", label.encode(), 0o644)
        _add(tar, "rootfs/driver", _program() if program else b"x", 0o755)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int, kind: bytes = tarfile.REGTYPE) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.type = len(data), mode, kind
    tar.addfile(member, io.BytesIO(data))
