"""`mode=non-blocking`: a collector that takes nothing costs the container no time, and what waits for it is bounded."""

import re
import time
from collections.abc import Callable
from pathlib import Path

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.collector import StreamCollector
from compat_tests.clients.waiting import eventually

_LINES = 60_000
_SCRIPT = f"""
until [ -e /begin ]; do sleep 0.1; done
seq 1 {_LINES} | sed 's/$/ {"x" * 90}/'
touch /written
while sleep 0.1; do echo later; done
"""


def test_what_has_no_room_is_dropped(cli: DockerCli, stream: Callable[..., StreamCollector], socket_path: Path) -> None:
    collector = stream(path=socket_path)
    collector.pause()
    options = (f"syslog-address=unix://{socket_path}", "mode=non-blocking", "max-buffer-size=50k")
    flags = [word for option in options for word in ("--log-opt", option)]
    cli.ok("run", "-d", "--name", "web", "--log-driver", "syslog", *flags, "busybox", "sh", "-c", _SCRIPT)
    cli.ok("exec", "web", "touch", "/begin")
    eventually(lambda: cli.run("exec", "web", "test", "-e", "/written").code == 0, 30, "all is written")
    time.sleep(1)  # For the engine to see that the collector is slow, which nothing shows from outside.
    collector.resume()
    eventually(lambda: collector.received.rstrip().endswith(b"later"), 30, "the collector has later lines")
    numbers = [int(n) for n in re.findall(rb"(\d+) x{90}", collector.received)]
    assert numbers[:100] == list(range(1, 101))
    assert numbers == sorted(set(numbers))
    # What the socket holds, and the buffer; and what the engine has not seen yet, on a busy machine.
    assert len(numbers) < _LINES * 3 // 4
    assert f"{_LINES} {'x' * 90}\n" in cli.ok("logs", "--tail", "5000", "web")
