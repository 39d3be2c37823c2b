"""Port specifications: what a client's bindings ask for. Pure."""

from dataclasses import dataclass

from engine.core.errors import InvalidParameter
from engine.domain.networks.sandbox import SandboxRequest


class InvalidPort(InvalidParameter):
    """A port specification is not one."""

    def __init__(self, text: str) -> None:
        super().__init__(f'invalid port specification: "{text}"')


@dataclass(frozen=True, slots=True)
class WantedPort:
    """A container port to publish on an address of the host (empty: the default), on one of `host_ports` (or any)."""

    port: int
    protocol: str
    host_address: str = ""
    host_ports: range = range(0)

    @property
    def key(self) -> str:
        """The port as Docker writes it."""
        return f"{self.port}/{self.protocol}"


def parse_port(text: str) -> tuple[int, str]:
    """Return the number and the protocol of `80/tcp`. Raises InvalidPort."""
    number, _, protocol = text.partition("/")
    if not number.isdigit() or not 0 < int(number) < 65536:
        raise InvalidPort(number)
    return int(number), protocol.lower() or "tcp"


def parse_range(text: str) -> range:
    """Return the ports of `8000` or `8000-8010`; nothing for an empty text or 0. Raises InvalidPort."""
    first, dash, last = text.partition("-")
    if not text or text == "0":
        return range(0)
    if not first.isdigit() or (dash and not last.isdigit()):
        raise InvalidPort(text)
    low, high = int(first), int(last or first)
    if not 0 < low <= high < 65536:
        raise InvalidPort(text)
    return range(low, high + 1)


def wanted_ports(request: SandboxRequest) -> list[WantedPort]:
    """Return the ports to publish, in dockerd's order: by number, then protocol."""
    wanted: list[WantedPort] = []
    for key in sorted(set(request.port_bindings) | set(request.exposed_ports), key=parse_port):
        port, protocol = parse_port(key)
        bindings = request.port_bindings.get(key) or ()
        wanted += [WantedPort(port, protocol, b.host_ip, parse_range(b.host_port)) for b in bindings]
        if not bindings and request.publish_all:
            wanted.append(WantedPort(port, protocol))
    return wanted
