"""Twenty containers started and stopped at the same time, over and over: nothing left, no error, no pause."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.clients import leaks
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import IdRecorder, Suite

# Pings the daemon over and over; prints how long each answer took, less the time that the daemon's threads stood ready
# to run but the machine had no processor for them (proc(5), `schedstat`): that is not the daemon's doing.
PINGER = """
import json, os, socket, sys, time
path, pid = sys.argv[1], sys.argv[2]
os.nice(-10)
daemon = socket.socket(socket.AF_UNIX)
daemon.connect(path)
os.set_blocking(0, False)
print("ready", flush=True)

def waited():
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/schedstat") as stat:
                total += int(stat.read().split()[1])
        except OSError:
            continue
    return total / 1e6

def ping():
    before, began = waited(), time.monotonic()
    daemon.sendall(b"GET /_ping HTTP/1.1\\r\\nHost: d\\r\\n\\r\\n")
    data = b""
    while not data.endswith(b"\\r\\n\\r\\nOK"):
        data += daemon.recv(4096)
    took = (time.monotonic() - began) * 1000
    return max(0, took - max(0, waited() - before))

pings = []
while True:
    pings.append(ping())
    try:
        if os.read(0, 1) == b"":
            break
    except BlockingIOError:
        pass
    time.sleep(0.01)
print(json.dumps(pings))
"""


@pytest.fixture
def daemon(suite: Suite) -> Iterator[Daemon]:
    with suite.used() as made:
        yield made


def one_life(daemon: Daemon, name: str, failures: list[str]) -> None:
    body = {
        "Image": "busybox",
        "Cmd": ["sleep", "300"],
        "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1"}]}},
    }
    steps = [
        ("POST", f"/containers/create?name={name}", body, 201),
        ("POST", f"/containers/{name}/start", None, 204),
        ("POST", f"/containers/{name}/stop?t=0", None, 204),
        ("DELETE", f"/containers/{name}", None, 204),
    ]
    for method, path, sent, status in steps:
        answer = daemon.api.request(method, path, sent)
        if answer.status != status:
            failures.append(f"{method} {path}: {answer}")


@pytest.mark.timeout(1800)
def test_twenty_at_a_time(request: pytest.FixtureRequest, daemon: Daemon) -> None:
    rounds = 50 if request.config.getoption("full") else 5
    recorder = IdRecorder(daemon)
    before = leaks.footprint(daemon)
    mark = len(daemon.log())
    failures: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-c", PINGER, str(daemon.socket), str(daemon.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as pinger:
        assert pinger.stdout is not None
        assert pinger.stdout.readline() == "ready\n"
        for number in range(rounds):
            names = [f"load-{number}-{index}" for index in range(20)]
            threads = [threading.Thread(target=one_life, args=(daemon, name, failures)) for name in names]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        pings = sorted(json.loads(pinger.communicate()[0]))
    recorder.close()
    assert not failures, failures[:5]
    assert daemon.api.get("/containers/json?all=1") == []
    leaks.check(daemon, before)
    errors = [line for line in daemon.log()[mark:].splitlines() if "level=error" in line or "Traceback" in line]
    assert not errors, errors[:10]
    if daemon.kind == "wharfd":
        most, worst = pings[len(pings) * 995 // 1000], pings[-1]
        # Here the exec root is on a disk that others use as well, and not in memory: a small file can take its time.
        assert most <= 50, f"99.5%: {most:.1f} ms"
        assert worst <= 250, f"worst: {worst:.1f} ms"


def test_file_descriptors_do_not_grow(daemon: Daemon) -> None:
    """A daemon that has seen many containers holds as many descriptors as before, once it is at rest."""

    def held() -> int:
        return len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))

    failures: list[str] = []
    for number in range(3):
        one_life(daemon, f"warm-{number}", failures)
    before = held()
    for number in range(15):
        one_life(daemon, f"fd-{number}", failures)
    assert not failures
    eventually(lambda: held() <= before + 3, what=f"as few descriptors as the {before} at first")


@pytest.fixture(autouse=True)
def clean() -> None:
    """Each test has a daemon of its own."""


@pytest.fixture(scope="module", autouse=True)
def nothing_left() -> None:
    """The checks for leaks are in the tests."""
