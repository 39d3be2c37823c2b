"""`docker search`: what a registry finds, by the first version of the protocol, which Docker Hub still serves."""

from dataclasses import dataclass
from typing import Any

import msgspec

from engine.core.errors import Internal, InvalidParameter
from engine.drivers.registry.failures import MalformedAnswer, RegistryUnreachable
from engine.drivers.registry.repository import read_document
from engine.drivers.registry.settings import DOCKER_IO, Endpoint, origin
from engine.drivers.registry.transport import Transport

_HUB = "https://index.docker.io"
_HUB_NAMES = ("index.docker.io", DOCKER_IO)


class SearchRefused(Internal):
    """The registry does not search."""

    def __init__(self, status: int) -> None:
        super().__init__(f"Unexpected status code {status}")


class NoSuchEndpoint(InvalidParameter):
    """There is no registry at the address."""


@dataclass(frozen=True, slots=True)
class Found:
    """A repository that a search found."""

    name: str
    description: str
    stars: int
    official: bool
    automated: bool


async def search(transport: Transport, term: str, limit: int) -> list[Found]:
    """Return what a registry finds: the one that the term begins with, or Docker Hub.

    Raises NoSuchEndpoint, RegistryUnreachable, SearchRefused, MalformedAnswer.
    """
    endpoint = Endpoint(url=_HUB, domain=DOCKER_IO)
    host, slash, rest = term.partition("/")
    if slash and ("." in host or ":" in host or host == "localhost") and host not in _HUB_NAMES:
        endpoint, term = await _reached(transport, origin(host, transport.settings)), rest
    url = f"{endpoint.url}/v1/search?q={_quoted(term)}&n={limit}"
    async with await transport.send(endpoint, "GET", url, {}) as response:
        if response.status != 200:
            raise SearchRefused(response.status)
        body = await read_document(response)
    try:
        answer = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise MalformedAnswer(url, "no JSON") from error
    return [_found(entry) for entry in answer.get("results") or [] if isinstance(entry, dict)]


async def _reached(transport: Transport, secure: Endpoint) -> Endpoint:
    """Return the endpoint at the scheme that it speaks."""
    host = secure.host
    strict = Endpoint(url=secure.url, domain=secure.domain, verify=secure.verify)
    try:
        (await transport.send(strict, "GET", f"{strict.url}/v1/_ping", {})).close()
    except RegistryUnreachable as error:
        if not secure.may_be_plain:
            raise NoSuchEndpoint(_advice(host, error)) from error
        plain = Endpoint(url=f"http://{host}", domain=secure.domain)
        await _ping_plain(transport, plain, error)
        return plain
    return strict


async def _ping_plain(transport: Transport, plain: Endpoint, failed: RegistryUnreachable) -> None:
    try:
        (await transport.send(plain, "GET", f"{plain.url}/v1/_ping", {})).close()
    except RegistryUnreachable as error:
        attempts = f"HTTPS attempt: {failed}. HTTP attempt: {error}"
        raise NoSuchEndpoint(f'invalid registry endpoint "{plain.url}/v1/". {attempts}') from error


def _advice(host: str, error: RegistryUnreachable) -> str:
    return (
        f"invalid registry endpoint https://{host}/v1/: {error}. If this private registry supports only HTTP or HTTPS "
        f"with an unknown CA certificate, please add `--insecure-registry {host}` to the daemon's arguments. In the "
        "case of HTTPS, if you have access to the registry's CA certificate, no need for the flag; simply place the CA "
        f"certificate at /etc/docker/certs.d/{host}/ca.crt"
    )


def _quoted(term: str) -> str:
    return "".join(c if c.isalnum() or c in "-_.~" else "".join(f"%{b:02X}" for b in c.encode()) for c in term)


def _found(entry: dict[str, Any]) -> Found:
    stars = entry.get("star_count")
    return Found(
        name=str(entry.get("name", "")),
        description=str(entry.get("description") or ""),
        stars=stars if isinstance(stars, int) else 0,
        official=entry.get("is_official") is True,
        automated=entry.get("is_automated") is True,
    )
