"""Asking a registry whether it accepts credentials, and Docker Hub's search: what needs no repository."""

from dataclasses import dataclass
from typing import Any

import msgspec

from engine.core.errors import Internal, Unauthorized
from engine.drivers.registry.authorize import Authorizer
from engine.drivers.registry.credentials import ANONYMOUS, Credentials
from engine.drivers.registry.failures import (
    AccessDenied,
    CredentialsRefused,
    MalformedAnswer,
    RegistryUnreachable,
    UnexpectedStatus,
)
from engine.drivers.registry.repository import Source, read_document
from engine.drivers.registry.settings import DOCKER_IO, Endpoint, origin, server_domain
from engine.drivers.registry.transport import Transport

_HUB_SEARCH = "https://index.docker.io/v1/search"


class LoginRefused(Internal):
    """The registry does not accept the credentials; dockerd answers 500."""

    def __init__(self, url: str, status: str) -> None:
        super().__init__(f"login attempt to {url} failed with status: {status}")


class LoginUnauthorized(Unauthorized):
    """The registry's token server does not accept the credentials."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f'Get "{url}": {reason}')


class LoginWithoutCredentials(Internal):
    """The registry wants credentials, and none are given."""

    def __init__(self, url: str) -> None:
        super().__init__(f'Get "{url}": no basic auth credentials')


@dataclass(frozen=True, slots=True)
class Found:
    """A repository that a search found."""

    name: str
    description: str
    stars: int
    official: bool
    automated: bool


async def login(transport: Transport, credentials: Credentials) -> str:
    """Return the identity token, empty where the registry gives none. Raises LoginRefused, RegistryUnreachable, …"""
    endpoint = origin(server_domain(credentials.server_address), transport.settings)
    authorizer = Authorizer(transport, endpoint, credentials, [], "pull")
    source = Source(transport, endpoint, "", authorizer)
    try:
        return await _check(source, transport.url(endpoint, "/v2/"))
    except CredentialsRefused as error:
        raise LoginUnauthorized(transport.url(endpoint, "/v2/"), error.detail) from error
    except AccessDenied as error:
        raise LoginWithoutCredentials(transport.url(endpoint, "/v2/")) from error
    except RegistryUnreachable as error:
        raise _in_plain(endpoint, error) from error


async def _check(source: Source, url: str) -> str:
    async with await source.send("GET", url, {}) as response:
        if response.status != 200:
            raise LoginRefused(str(response.url), f"{response.status} {response.reason}")
        return source.authorizer.identity_token


def _in_plain(endpoint: Endpoint, error: RegistryUnreachable) -> RegistryUnreachable:
    """Where plain HTTP would do, too, dockerd's last word is about that attempt."""
    if not endpoint.may_be_plain:
        return error
    return RegistryUnreachable("GET", f"http{endpoint.url.removeprefix('https')}/v2/", error.cause)


async def search(transport: Transport, term: str, limit: int) -> list[Found]:
    """Return what Docker Hub finds. Raises RegistryUnreachable, UnexpectedStatus, MalformedAnswer."""
    endpoint = Endpoint(url=_HUB_SEARCH, domain=DOCKER_IO)
    source = Source(transport, endpoint, "", Authorizer(transport, endpoint, ANONYMOUS, [], "pull"))
    url = f"{_HUB_SEARCH}?q={_quoted(term)}&n={limit}"
    async with await source.send("GET", url, {}) as response:
        if response.status != 200:
            raise UnexpectedStatus("GET", url, f"{response.status} {response.reason}")
        body = await read_document(response)
    try:
        answer = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise MalformedAnswer(url, "no JSON") from error
    return [_found(entry) for entry in answer.get("results") or [] if isinstance(entry, dict)]


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
