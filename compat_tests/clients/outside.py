"""A machine beside the engine's: a network namespace of its own, one wire to the engine's namespace, both families.

It has a route to everything through the engine's machine, as a curious neighbour would.
"""

import subprocess
from collections.abc import Callable
from typing import TypeVar

from compat_tests.clients.namespaces import PrivateNamespaces, call_in_network

T = TypeVar("T")

OWN, HOST = "203.0.113.2", "203.0.113.1"
OWN_IPV6, HOST_IPV6 = "2001:db8:7::2", "2001:db8:7::1"
_SETUP = f"""
ip link set lo up
ip address add {OWN}/24 dev wire
ip address add {OWN_IPV6}/64 dev wire nodad
ip link set wire up
ip route add default via {HOST}
ip -6 route add default via {HOST_IPV6}
"""


class Outside:
    """The other machine. `name` is the interface's name on the engine's side."""

    def __init__(self, namespaces: PrivateNamespaces, name: str = "wire0") -> None:
        self._engine = namespaces
        self._holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL)
        self.pid = self._holder.pid
        peer = ["peer", "name", "wire", "netns", str(self.pid)]
        self._wait_for_namespace()
        self._run(namespaces.command(["ip", "link", "add", name, "type", "veth", *peer]))
        for address in (f"{HOST}/24", f"{HOST_IPV6}/64"):
            nodad = ["nodad"] if ":" in address else []
            self._run(namespaces.command(["ip", "address", "add", address, "dev", name, *nodad]))
        self._run(namespaces.command(["ip", "link", "set", name, "up"]))
        self._run(["nsenter", f"--net=/proc/{self.pid}/ns/net", "sh", "-ec", _SETUP])

    def _wait_for_namespace(self) -> None:
        """Until the holder has unshared; before that it is in ours."""
        own = subprocess.run(["readlink", "/proc/self/ns/net"], capture_output=True, check=True).stdout
        while subprocess.run(["readlink", f"/proc/{self.pid}/ns/net"], capture_output=True, check=True).stdout == own:
            pass

    def _run(self, argv: list[str]) -> None:
        subprocess.run(argv, check=True)

    def command(self, argv: list[str]) -> list[str]:
        """The same command, run there."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", *argv]

    def call(self, function: Callable[[], T]) -> T:
        """Run the function there."""
        return call_in_network(self.pid, function)

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()
