"""What a starting container asks of its networks, and what it gets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.core.model.container import Container, Sandbox
from engine.core.model.network import EndpointSettings, PortBinding


@dataclass(frozen=True, slots=True)
class SandboxRequest:
    """A container's wishes: endpoints by network name or id, ports such as `80/tcp`, name servers.

    `pid`: the namespace is there, and is that of this process.
    `links`: the IDs of containers that it has legacy links to.
    `silent`: it is no container but a build's step, of which no events tell.
    """

    container_id: str
    name: str
    hostname: str = ""
    networks: Mapping[str, EndpointSettings] = field(default_factory=dict)
    port_bindings: Mapping[str, Sequence[PortBinding] | None] = field(default_factory=dict)
    exposed_ports: Sequence[str] = ()
    publish_all: bool = False
    dns: Sequence[str] = ()
    links: Sequence[str] = ()
    silent: bool = False
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Attached:
    """The namespace with its published ports, and the endpoints by network name."""

    sandbox: Sandbox
    networks: Mapping[str, EndpointSettings]


def request_of(container: Container, pid: int = 0, links: Sequence[str] = ()) -> SandboxRequest:
    """Return what a container asks of its networks; `pid` and `links` as in the request."""
    return SandboxRequest(
        container_id=container.id,
        name=container.name,
        hostname=container.config.hostname,
        networks=container.networks,
        port_bindings=container.host_config.port_bindings or {},
        exposed_ports=tuple(container.config.exposed_ports or ()),
        publish_all=container.host_config.publish_all_ports,
        dns=tuple(container.host_config.dns or ()),
        links=tuple(links),
        pid=pid,
    )
