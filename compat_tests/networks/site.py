"""An engine in a network of its own with another machine on a wire beside it, and who sees whom there."""

import socket
import subprocess
from dataclasses import dataclass

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.namespaces import call_in_network
from compat_tests.clients.outside import Outside

# Says who asks: the address that the container sees.
WHO = (
    "mkdir -p /www/cgi-bin; printf '#!/bin/sh\\necho; echo $REMOTE_ADDR\\n' > /www/cgi-bin/who; "
    "chmod +x /www/cgi-bin/who; exec httpd -f -p 80 -h /www"
)


@dataclass
class Site:
    """An engine, and the machine beside it."""

    engine: Daemon
    outside: Outside

    @property
    def cli(self) -> DockerCli:
        return self.engine.cli

    def serve(self, *arguments: str, name: str = "web") -> None:
        self.cli.ok("run", "-d", "--name", name, *arguments, "busybox", "sh", "-c", WHO)

    def here(self, address: str, port: int, timeout: float = 1) -> str:
        """Who the container sees when the engine's machine asks; empty when nobody answers."""
        return self.engine.namespaces.call(lambda: ask(address, port, timeout))

    def there(self, address: str, port: int, timeout: float = 1) -> str:
        """Who the container sees when the other machine asks; empty when nobody answers."""
        return self.outside.call(lambda: ask(address, port, timeout))

    def inside(self, container: str, address: str, port: int = 80, timeout: float = 1) -> str:
        """Who the container sees when another container asks; empty when nobody answers."""
        return call_in_network(self.pid(container), lambda: ask(address, port, timeout))

    def pid(self, container: str) -> int:
        return int(self.cli.ok("inspect", "-f", "{{.State.Pid}}", container))

    def address(self, container: str, network: str, field: str = "IPAddress") -> str:
        return self.cli.ok("inspect", "-f", f"{{{{.NetworkSettings.Networks.{network}.{field}}}}}", container)

    def port(self, container: str, port: str = "80") -> int:
        return int(self.cli.ok("port", container, port).splitlines()[0].rsplit(":", 1)[1])

    def shell(self, command: str) -> str:
        argv = self.engine.namespaces.command(["sh", "-c", command])
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def plain(answer: str) -> str:
    return answer.strip().strip("[]").removeprefix("::ffff:")


def ask(address: str, port: int, timeout: float) -> str:
    try:
        with socket.create_connection((address, port), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(b"GET /cgi-bin/who HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
    except OSError:
        return ""
    return plain(answer.decode().strip().rpartition("\n")[2])


def seen_outside(site: Site, container: str, address: str) -> str:
    """Who a server on the other machine sees when the container calls."""

    def listen() -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, 0), family=family)

    with site.outside.call(listen) as server:
        server.settimeout(5)
        port = server.getsockname()[1]
        with site.cli.spawn("exec", container, "nc", "-w", "3", address, str(port)) as process:
            connection, peer = server.accept()
            connection.close()
            process.wait()
    return str(peer[0])
