"""What the scenarios work on: a large image, container bodies, sums of memory."""

import os
import random
from pathlib import Path
from typing import Any

from compat_tests.clients import imagefiles
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.imagefiles import Image, Layer, directory, file, tar

LAYERS = 6
_FILE = 400_000  # bytes; three eighths of each are noise, so that it shrinks to 37 % as real images do
LINE = "abcdefghijklmnopqrstuvwxyz0123456789"


def big_image(megabytes: int) -> Image:
    """busybox and five layers, about this large as downloaded and 2.7 times that when unpacked."""
    source = random.Random(7)
    files = megabytes * 1_000_000 // (LAYERS - 1) // (_FILE * 3 // 8)
    layers = [Layer(tar(_files(number, files, source))) for number in range(LAYERS - 1)]
    return imagefiles.derived(*layers)


def _files(layer: int, count: int, source: random.Random) -> list[imagefiles.Entry]:
    text = b"The quick brown fox jumps over the lazy dog.\n" * (_FILE * 5 // 8 // 45)
    entries = [directory(f"big{layer}")]
    for number in range(count):
        entries.append(file(f"big{layer}/file{number}", source.randbytes(_FILE * 3 // 8) + text))
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
