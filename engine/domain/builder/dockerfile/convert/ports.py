"""The ports of EXPOSE: `80`, `80-90/udp`, and the forms with a host's address and port, which mean nothing. Pure."""

import ipaddress
import re

from engine.domain.builder.dockerfile.failures import InstructionWrong, Lines
from engine.domain.builder.dockerfile.lint import Lint
from engine.domain.builder.dockerfile.shell import go_quoted


def exposed_ports(text: str, lint: Lint, lines: Lines) -> list[str]:
    """Return `number/protocol` for each port that a word names. Raises InstructionWrong."""
    *host, last = text.rsplit(":", 2)
    port, _, protocol = last.partition("/")
    if host:
        lint.report("ExposeInvalidFormat", lines, text)
    if not port:
        raise InstructionWrong(f"invalid port: {go_quoted(text)}: no port specified: {last}<empty>")
    if protocol.lower() not in ("", "tcp", "udp", "sctp"):
        raise InstructionWrong(f"invalid port: {go_quoted(text)}: invalid proto: {protocol.lower()}")
    if protocol != protocol.lower():
        lint.report("ExposeProtoCasing", lines, text)
    if len(host) == 2:
        _check_address(host[0])
    first, end = _range(port, "containerPort")
    if host and host[-1]:
        _check_host_ports(host[-1], port, end - first)
    return [f"{number}/{protocol.lower() or 'tcp'}" for number in range(first, end + 1)]


def _check_address(text: str) -> None:
    try:
        if text:
            ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError as error:
        raise InstructionWrong(f"invalid IP address: {text}") from error


def _check_host_ports(text: str, port: str, count: int) -> None:
    first, end = _range(text, "hostPort")
    if end - first != count and count:
        raise InstructionWrong(f"invalid ranges specified for container and host Ports: {port} and {text}")


def _range(text: str, what: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", text)
    first = int(match[1]) if match else -1
    last = int(match[2] or match[1]) if match else -1
    if not 0 <= first <= last <= 65535:
        raise InstructionWrong(f"invalid {what}: {text}")
    return first, last
