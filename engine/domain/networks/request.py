"""What a client asks of a new network."""

from dataclasses import dataclass, field

from engine.core.model.network import IPAM


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """What `POST /networks/create` asks for. `config_from` names the network whose settings it takes."""

    name: str
    driver: str = ""
    scope: str = ""
    ipam: IPAM = field(default_factory=IPAM)
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: str = ""
    options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
