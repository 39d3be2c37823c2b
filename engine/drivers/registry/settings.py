"""Where a registry is: its mirrors, how its certificate is judged, through which proxy it is reached. Pure.

The rules are dockerd's: loopback registries and those of `insecure` may show any certificate or speak plain HTTP; a
name without a host belongs to docker.io, which lives at registry-1.docker.io.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

DOCKER_IO = "docker.io"
_DOCKER_IO_HOST = "registry-1.docker.io"
_HUB_NAMES = ("", "index.docker.io", "registry-1.docker.io", DOCKER_IO)
_LOOPBACK = ("127.0.0.0/8", "::1/128")


@dataclass(frozen=True, slots=True)
class Proxies:
    """Proxies by scheme; `no_proxy` as curl and Go read it: hosts, domains, addresses, networks, `*`."""

    http: str = ""
    https: str = ""
    no_proxy: str = ""


def proxies_of(configured: Proxies, environment: Mapping[str, str]) -> Proxies:
    """Return the proxies of the daemon's configuration, or else of its environment, as dockerd does it."""

    def found(value: str, name: str) -> str:
        return value or environment.get(name) or environment.get(name.lower(), "")

    return Proxies(
        http=found(configured.http, "HTTP_PROXY"),
        https=found(configured.https, "HTTPS_PROXY"),
        no_proxy=found(configured.no_proxy, "NO_PROXY"),
    )


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """The daemon's settings. Loopback registries are always insecure.

    `mirrors`: by registry domain (`docker.io`, `host:5000`), in order of preference.
    """

    mirrors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    insecure: Sequence[str] = ()
    certs_directory: Path = Path("/etc/docker/certs.d")
    proxies: Proxies = Proxies()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One place that serves a registry. `url` has no trailing slash; `/v2/…` comes behind it."""

    url: str
    domain: str
    verify: bool = True
    may_be_plain: bool = False
    mirror: bool = False

    @property
    def host(self) -> str:
        """Host and port as written, by which `certs.d` is sorted."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


def server_domain(address: str) -> str:
    """Return the domain of a server address, which may be an URL such as `https://index.docker.io/v1/`."""
    host = address.partition("://")[2] or address
    host = host.partition("/")[0]
    return DOCKER_IO if host in _HUB_NAMES else host


def endpoints(domain: str, settings: RegistrySettings) -> list[Endpoint]:
    """Return where to look for a registry's content, mirrors first."""
    found = [_endpoint(url, domain, settings, mirror=True) for url in settings.mirrors.get(domain, ())]
    return [*found, origin(domain, settings)]


def origin(domain: str, settings: RegistrySettings) -> Endpoint:
    """Return the registry itself."""
    host = _DOCKER_IO_HOST if domain == DOCKER_IO else domain
    return _endpoint(f"https://{host}", domain, settings, mirror=False)


def _endpoint(url: str, domain: str, settings: RegistrySettings, *, mirror: bool) -> Endpoint:
    if "://" not in url:
        url = f"https://{url}"
    parts = urlsplit(url)
    insecure = _is_insecure(parts.hostname or "", parts.netloc.rpartition("@")[2], settings.insecure)
    return Endpoint(
        url=url.rstrip("/"),
        domain=domain,
        verify=not insecure,
        may_be_plain=insecure and parts.scheme == "https",
        mirror=mirror,
    )


def _is_insecure(host: str, host_and_port: str, insecure: Sequence[str]) -> bool:
    if host == "localhost" or host_and_port in insecure or host in insecure:
        return True
    return _in_networks(host, (*_LOOPBACK, *insecure))


def _in_networks(host: str, networks: Sequence[str]) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in map(_network, networks) if network is not None)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None


def proxy_for(url: str, proxies: Proxies) -> str | None:
    """Return the proxy for a URL, None for a direct connection. Loopback is always direct, as in Go."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    proxy = proxies.https if parts.scheme == "https" else proxies.http
    if not proxy or host == "localhost" or _in_networks(host, _LOOPBACK):
        return None
    if any(_excludes(rule.strip().lower(), host, parts.port) for rule in proxies.no_proxy.split(",")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _excludes(rule: str, host: str, port: int | None) -> bool:
    if rule in ("", "*"):
        return rule == "*"
    name, colon, wanted_port = rule.rpartition(":")
    if colon and wanted_port.isdigit() and "/" not in rule and name.count(":") == 0:
        if port != int(wanted_port):
            return False
        rule = name
    if _in_networks(host, (rule,)) or host == rule:
        return True
    return host.endswith(rule if rule.startswith(".") else f".{rule}")
