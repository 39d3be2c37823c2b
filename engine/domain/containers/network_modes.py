"""Which options a container's network, UTS, IPC and PID modes allow, with dockerd's texts. Pure."""

import ipaddress
import re

from engine.core.errors import Internal, InvalidParameter
from engine.core.model.container import ContainerConfig, HostConfig
from engine.core.model.network import PortBinding

_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)


class ConflictingOptions(InvalidParameter):
    """Two options exclude each other."""

    def __init__(self, what: str) -> None:
        super().__init__(f"conflicting options: {what}")


class InvalidMode(InvalidParameter):
    """A namespace mode that does not exist."""

    def __init__(self, kind: str, mode: str) -> None:
        super().__init__(f"invalid {kind} mode: {mode}")


class InvalidExtraHost(InvalidParameter):
    """`--add-host` without a name or with something that is no address."""


class InvalidPort(InvalidParameter):
    """Not a port or a range of ports."""

    def __init__(self, text: str) -> None:
        super().__init__(f'invalid port specification: "{text}"')


class InvalidLink(Internal):
    """`--link` of another form than `container[:alias]`; dockerd answers 500."""


def require_consistent_network(config: ContainerConfig, host_config: HostConfig) -> None:
    """Raise ConflictingOptions, InvalidMode for options that the network mode does not allow."""
    mode = host_config.network_mode
    if mode.partition(":")[0] == "container":
        _require_consistent_container_mode(config, host_config)
    if host_config.uts_mode == "host" and config.hostname:
        raise ConflictingOptions("hostname and the UTS mode")
    if mode == "host" and host_config.links:
        raise ConflictingOptions(
            "host type networking can't be used with links. This would result in undefined behavior"
        )


def _require_consistent_container_mode(config: ContainerConfig, host_config: HostConfig) -> None:
    if not host_config.network_mode.removeprefix("container").removeprefix(":"):
        raise InvalidMode("network", "invalid container format container:<name|id>")
    for present, conflict in (
        (config.hostname, "hostname and the network mode"),
        (
            host_config.links,
            "container type network can't be used with links. This would result in undefined behavior",
        ),
        (host_config.dns, "dns and the network mode"),
        (host_config.extra_hosts, "custom host-to-IP mapping and the network mode"),
        (
            host_config.port_bindings or host_config.publish_all_ports,
            "port publishing and the container type network mode",
        ),
        (config.exposed_ports, "port exposing and the container type network mode"),
    ):
        if present:
            raise ConflictingOptions(conflict)


def require_valid_modes(host_config: HostConfig) -> None:
    """Raise InvalidMode for an IPC, PID or UTS mode that does not exist."""
    ipc, pid = host_config.ipc_mode, host_config.pid_mode
    if ipc not in ("", "none", "host", "private", "shareable") and not ipc.startswith("container:"):
        raise InvalidMode("IPC", ipc)
    if pid not in ("", "host") and not (pid.startswith("container:") and len(pid) > len("container:")):
        raise InvalidMode("PID", pid)
    if host_config.uts_mode not in ("", "host"):
        raise InvalidMode("UTS", host_config.uts_mode)


def require_valid_extra_host(entry: str) -> None:
    """Raise InvalidExtraHost for something else than `name:address`."""
    name, colon, address = entry.partition(":")
    if not colon or not name:
        raise InvalidExtraHost(f'bad format for add-host: "{entry}"')
    if address == "host-gateway":
        return
    try:
        ipaddress.ip_address(address)
    except ValueError as error:
        raise InvalidExtraHost(f'invalid IP address in add-host: "{address}"') from error


def require_valid_ports(host_config: HostConfig) -> None:
    """Raise InvalidPort for a port binding that names no port."""
    for port, bindings in (host_config.port_bindings or {}).items():
        number = port.partition("/")[0]
        if number and not is_port(number):
            raise InvalidPort(number)
        for binding in bindings or ():
            _require_valid_binding(binding)


def _require_valid_binding(binding: PortBinding) -> None:
    text = binding.host_port
    if not text:
        return
    first, dash, last = text.partition("-")
    if not is_port(first) or (dash and (not is_port(last) or int(last) < int(first))):
        raise InvalidPort(text)


def is_port(text: str) -> bool:
    """Tell whether a text is a number from 0 to 65535."""
    return _PORT.fullmatch(text) is not None and int(text) <= 65535


def parse_link(text: str) -> tuple[str, str]:
    """Return the container and the alias of a `--link`. Raises InvalidLink."""
    if not text:
        raise InvalidLink("empty string specified for links")
    parts = text.split(":")
    if len(parts) > 2:
        raise InvalidLink(f"bad format for links: {text}")
    target = parts[0]
    if len(parts) == 1:
        return target, target
    # `/peer:/me/alias` is what inspect shows, and what a client that copies a container sends.
    return target, parts[1].rpartition("/")[2] if target.startswith("/") else parts[1]
