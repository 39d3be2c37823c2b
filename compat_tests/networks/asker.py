"""A container that asks for names."""

from typing import Any

from compat_tests.clients import dns
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.dns import NOERROR, Reply
from compat_tests.clients.namespaces import call_in_network


class Container:
    """A running container that asks for names."""

    def __init__(self, cli: DockerCli, name: str, *options: str) -> None:
        self.id = cli.ok("run", "-d", "--name", name, *options, "busybox", "sleep", "600")
        self.name = name
        self._cli = cli
        self.pid = int(self.inspect("{{.State.Pid}}"))

    def inspect(self, template: str) -> str:
        return self._cli.ok("inspect", "-f", template, self.name)

    def address(self, network: str = "front", field: str = "IPAddress") -> str:
        return self.inspect(f"{{{{.NetworkSettings.Networks.{network}.{field}}}}}")

    def ask(self, name: str, kind: int = dns.A, **options: Any) -> Reply:
        return call_in_network(self.pid, lambda: dns.ask(name, kind, **options))

    def knows(self, name: str, kind: int = dns.A) -> bool:
        """Whether there is an answer; servers outside may be out of reach, or say that there is none."""
        try:
            return self.ask(name, kind, timeout=0.5).code == NOERROR
        except TimeoutError:
            return False
