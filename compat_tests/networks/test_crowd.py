"""What others publish costs a container nothing."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from compat_tests.clients.rawhttp import RawHttp

CONTAINERS, PORTS = 50, 100
FIRST = 24000


def _took(api: RawHttp, create: Callable[..., str]) -> float:
    """Seconds that a start with one port takes: the quickest of some, since others use the machine, too."""
    times = []
    for _ in range(12):
        container = create("sleep", "600", HostConfig={"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1"}]}})
        began = time.monotonic()
        assert api.post(f"/containers/{container}/start").status == 204
        times.append(time.monotonic() - began)
        api.request("DELETE", f"/containers/{container}?force=1")
    return min(times)


@pytest.mark.wharfd_only("five thousand proxies are too much for the machine")
def test_a_start_among_many_ports_takes_no_longer(api: RawHttp, create: Callable[..., str]) -> None:
    alone = _took(api, create)

    def publish(number: int) -> None:
        first = FIRST + number * PORTS
        ports = {f"{n}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(n)}] for n in range(first, first + PORTS)}
        container = create("sleep", "600", HostConfig={"PortBindings": ports})
        assert api.post(f"/containers/{container}/start").status == 204

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(publish, range(CONTAINERS)))
    crowded = _took(api, create)
    print(f"alone {alone * 1000:.0f} ms, crowded {crowded * 1000:.0f} ms")
    assert crowded < 1.5 * alone + 0.02
