"""The texts of a container's /etc/hosts, /etc/hostname and /etc/resolv.conf. Pure."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_HOSTS_HEAD = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::", "ip6-localnet"),
    ("ff00::", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)
_PUBLIC_RESOLVERS = ("8.8.8.8", "8.8.4.4")


@dataclass(frozen=True, slots=True)
class Resolver:
    """What a container's resolv.conf is to say; empty lists are taken from the host's file."""

    servers: Sequence[str] = ()
    search: Sequence[str] = ()
    options: Sequence[str] = ()


def hosts_text(entries: Iterable[tuple[str, str]]) -> str:
    """Return /etc/hosts: the loopback names, then `entries` of address and names."""
    return "".join(f"{address}\t{names}\n" for address, names in (*_HOSTS_HEAD, *entries))


def own_names(hostname: str, domainname: str) -> str:
    """Return the names under which a container's own address is entered."""
    return f"{hostname}.{domainname} {hostname}" if domainname else hostname


def extra_host(entry: str, gateway: str) -> tuple[str, str]:
    """Split `name:address` of --add-host; the address `host-gateway` stands for the host as seen by the container."""
    name, _, address = entry.partition(":")
    return (gateway if address == "host-gateway" else address.strip("[]"), name)


def resolv_conf_text(host: str, wanted: Resolver) -> str:
    """Return resolv.conf for a container with a network of its own.

    Name servers on the host's loopback cannot be reached from there and are left out; where none remains, public ones
    serve, as with dockerd.
    """
    servers = tuple(wanted.servers) or _reachable(_values(host, "nameserver")) or _PUBLIC_RESOLVERS
    search = tuple(wanted.search) or tuple(s for line in _values(host, "search") for s in line.split())
    options = tuple(wanted.options) or tuple(o for line in _values(host, "options") for o in line.split())
    lines = [f"nameserver {server}" for server in servers]
    if search and search != (".",):
        lines.append(f"search {' '.join(search)}")
    if options:
        lines.append(f"options {' '.join(options)}")
    return "\n".join(lines) + "\n"


def _values(text: str, keyword: str) -> list[str]:
    fields = (line.split(None, 1) for line in text.splitlines())
    return [f[1].strip() for f in fields if len(f) == 2 and f[0] == keyword]


def _reachable(servers: Iterable[str]) -> tuple[str, ...]:
    return tuple(s for s in servers if not _is_loopback(s))


def _is_loopback(server: str) -> bool:
    try:
        return ipaddress.ip_address(server.partition("%")[0]).is_loopback
    except ValueError:
        return True
