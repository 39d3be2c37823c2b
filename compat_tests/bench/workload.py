"""What the scenarios work on: a large image, container bodies, sums of memory."""

import os
import random
from pathlib import Path
from typing import Any

from compat_tests.clients import imagefiles
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import Image, Layer, directory, file, tar

LAYERS = 6
_NOISE = 3 / 8  # The part of each file that does not shrink: 37 %, as with real images.
_TEXT = b"The quick brown fox jumps over the lazy dog.\n"
_LARGE, _SMALL = 4_000_000, 2_000
LINE = "abcdefghijklmnopqrstuvwxyz0123456789"


def large_files(megabytes: int) -> Image:
    """busybox and five layers of a few files, about this large as downloaded and 2.7 times that when unpacked."""
    return _image(int(megabytes * 1_000_000 / _NOISE) // _LARGE, _LARGE)


def small_files(megabytes: int) -> Image:
    """busybox and five layers of many files: 40,000 beside a `large_files` of 244 megabytes."""
    return _image(megabytes * 164, _SMALL)


IMAGES = {"large": large_files, "small": small_files}


def _image(files: int, size: int) -> Image:
    source = random.Random(7)
    return imagefiles.derived(*(Layer(tar(_files(n, files // (LAYERS - 1), size, source))) for n in range(LAYERS - 1)))


def _files(layer: int, count: int, size: int, source: random.Random) -> list[imagefiles.Entry]:
    noise = int(size * _NOISE)
    text = _TEXT * ((size - noise) // len(_TEXT))
    entries = [directory(f"big{layer}")]
    for number in range(count):
        if number % 100 == 0:
            entries.append(directory(f"big{layer}/{number}"))
        entries.append(file(f"big{layer}/{number // 100 * 100}/file{number}", source.randbytes(noise) + text))
    return entries


def body(*command: str, **host: Any) -> dict[str, Any]:
    return {"Image": "busybox", "Cmd": list(command), "HostConfig": host}


def create(daemon: Daemon, *command: str, **host: Any) -> str:
    answer = daemon.api.post("/containers/create", body(*command, **host))
    assert answer.status == 201, answer
    return str(answer.json()["Id"])


def start(daemon: Daemon, container: str) -> None:
    answer = daemon.api.post(f"/containers/{container}/start")
    assert answer.status == 204, answer


def wait(daemon: Daemon, container: str) -> int:
    answer = daemon.api.request("POST", f"/containers/{container}/wait", timeout=300)
    return int(answer.json()["StatusCode"])


def remove(daemon: Daemon, container: str) -> None:
    answer = daemon.api.request("DELETE", f"/containers/{container}?force=1&v=1")
    assert answer.status == 204, answer


def memory(daemon: Daemon) -> float:
    """Proportional set size of the daemon, its workers and its monitors, in MiB; containers' own processes not."""
    total = 0
    for pid in {daemon.pid, *daemon.strays(), *_descendants(daemon.pid)}:
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            continue
    return total / 1024


def _descendants(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            if os.readlink(f"/proc/{child}/ns/pid") == os.readlink(f"/proc/{pid}/ns/pid"):
                found += [int(child), *_descendants(int(child))]
    return found
