"""How fast bytes get from a container to another one, and from the machine to a published port.

The ends are sockets of this process, opened in the containers' networks: what is measured is the way between them.
"""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from compat_tests.bench import workload
from compat_tests.bench.engines import Pair
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.namespaces import call_in_network

_BYTES = 2_000_000_000
_CHUNK = 1 << 20
_PORT, _HOST_PORT = 5001, 25001
_SERVER, _CLIENT, _NETWORK = "bench-server", "bench-client", "benchnet"


def prepare(daemon: Daemon, pair: Pair) -> None:
    """Two containers on a network of their own, one with a published port."""
    del pair
    daemon.cli.ok("network", "create", _NETWORK)
    published = f"{_HOST_PORT}:{_PORT}" if daemon.kind == "wharfd" else f"{_HOST_PORT + 1}:{_PORT}"
    for name, options in ((_SERVER, ("-p", published)), (_CLIENT, ())):
        daemon.cli.ok("run", "-d", "--name", name, "--network", _NETWORK, *options, "busybox", "sleep", "3000")


def finish(daemon: Daemon, pair: Pair) -> None:
    """Remove them."""
    del pair
    for name in (_SERVER, _CLIENT):
        workload.remove(daemon, name)
    daemon.cli.ok("network", "rm", _NETWORK)


def between_containers(daemon: Daemon, pair: Pair) -> float:
    """Seconds for two gigabytes from container to container."""
    del pair
    client = _pid(daemon, _CLIENT)
    address = _inspect(daemon, _SERVER, f"{{{{.NetworkSettings.Networks.{_NETWORK}.IPAddress}}}}")
    return _transfer(daemon, lambda: call_in_network(client, lambda: socket.create_connection((address, _PORT))))


def through_a_port(daemon: Daemon, pair: Pair) -> float:
    """Seconds for two gigabytes from the machine through a published port.

    By the address of the default bridge: on 127.0.0.1 dockerd has a proxy in the way.
    """
    del pair
    host = (daemon.options.bip.partition("/")[0], int(daemon.cli.ok("port", _SERVER).split("\n")[0].rpartition(":")[2]))
    return _transfer(daemon, lambda: daemon.namespaces.call(lambda: socket.create_connection(host)))


def _transfer(daemon: Daemon, connect: Callable[[], socket.socket]) -> float:
    server = call_in_network(_pid(daemon, _SERVER), lambda: socket.create_server(("", _PORT)))
    with server, connect() as sender:
        receiver, _ = server.accept()
        thread = threading.Thread(target=_send, args=(sender,))
        began = time.monotonic()
        thread.start()
        received, buffer = 0, bytearray(_CHUNK)
        with receiver:
            while size := receiver.recv_into(buffer):
                received += size
        took = time.monotonic() - began
        thread.join()
    assert received == _BYTES, received
    return took


def _send(sender: socket.socket) -> None:
    data = memoryview(bytes(_CHUNK))
    left = _BYTES
    while left:
        left -= sender.send(data[: min(left, _CHUNK)])
    with suppress(OSError):
        sender.shutdown(socket.SHUT_WR)


def _pid(daemon: Daemon, container: str) -> int:
    return int(_inspect(daemon, container, "{{.State.Pid}}"))


def _inspect(daemon: Daemon, container: str, template: str) -> str:
    return daemon.cli.ok("inspect", "-f", template, container)
