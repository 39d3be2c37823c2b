"""A container's interface as it is to be: its name and addresses inside, and what it hangs on outside."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BridgePort:
    """A veth whose host end is a port of a bridge. Isolated: it reaches the bridge itself but no other such port."""

    host_name: str
    bridge: str
    isolated: bool = False


@dataclass(frozen=True, slots=True)
class ParentLink:
    """A link of kind `macvlan` or `ipvlan` on an interface of the host, in one of the kernel's modes.

    Modes are bridge, private, vepa, passthru; l2, l3, l3s with the flag bridge, private or vepa.
    """

    kind: str
    parent: str
    mode: str
    flag: str = ""


@dataclass(frozen=True, slots=True)
class GivenLink:
    """A link that somebody else has made on the host, to be moved into the container and named anew."""

    source: str


@dataclass(frozen=True, slots=True)
class Interface:
    """One container interface.

    `addresses` are of the form 172.17.0.2/16; empty gateways: no default route. `device_routes`: the families (4, 6)
    whose default route names no gateway but the interface. `sysctls` are written below net/ before the addresses come.
    An empty MAC address is the kernel's choice; an MTU of 0 the parent's.
    """

    link: BridgePort | ParentLink | GivenLink
    name: str
    mac_address: str
    mtu: int
    addresses: tuple[str, ...]
    gateways: tuple[str, ...] = ()
    device_routes: tuple[int, ...] = ()
    ipv6: bool = False
    sysctls: tuple[tuple[str, str], ...] = ()

    @property
    def host_name(self) -> str:
        """The name of its end on the host; empty where it has none."""
        return self.link.host_name if isinstance(self.link, BridgePort) else ""

    @property
    def outside(self) -> str:
        """The name of the host's interface that it hangs on, or is to become."""
        if isinstance(self.link, GivenLink):
            return self.link.source
        return self.link.bridge if isinstance(self.link, BridgePort) else self.link.parent


@dataclass(frozen=True, slots=True)
class DefaultRoute:
    """The default route of a family (4, 6): through a gateway, or, where that is empty, just into the interface."""

    version: int
    interface: str
    gateway: str = ""


class ParentRefused(OSError):
    """The kernel makes no link of that kind on the parent."""

    def __init__(self, kind: str, error: OSError) -> None:
        super().__init__(error.errno, error.strerror)
        self.kind = kind


class SysctlRefused(OSError):
    """A setting of an interface that the kernel does not have, or a value that it does not take."""

    def __init__(self, number: int, interface: Interface, reason: str) -> None:
        super().__init__(number, reason)
        self.interface = interface
