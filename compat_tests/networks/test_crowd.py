"""What others publish costs a container nothing."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from compat_tests.bench import workload
from compat_tests.clients.daemon import Daemon
from compat_tests.conftest import Suite

CONTAINERS, PORTS = 50, 100
FIRST = 24000


def _took(daemon: Daemon) -> float:
    """Seconds that a start with one port takes: the quickest of some, since others use the machine, too."""
    times = []
    for _ in range(12):
        container = workload.create(daemon, "sleep", "600", PortBindings={"80/tcp": [{"HostIp": "127.0.0.1"}]})
        began = time.monotonic()
        workload.start(daemon, container)
        times.append(time.monotonic() - began)
        workload.remove(daemon, container)
    return min(times)


@pytest.mark.wharfd_only("five thousand proxies are too much for the machine")
@pytest.mark.parametrize("backend", ["nftables", "iptables"])
def test_a_start_among_many_ports_takes_no_longer(suite: Suite, backend: str) -> None:
    def publish(number: int) -> None:
        first = FIRST + number * PORTS
        ports = {f"{n}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(n)}] for n in range(first, first + PORTS)}
        workload.start(daemon, workload.create(daemon, "sleep", "600", PortBindings=ports))

    with suite.killable("--firewall-backend", backend) as daemon:
        alone = _took(daemon)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(publish, range(CONTAINERS)))
        crowded = _took(daemon)
        daemon.wipe()
    print(f"{backend}: alone {alone * 1000:.0f} ms, crowded {crowded * 1000:.0f} ms")
    assert crowded < 1.5 * alone + 0.02
