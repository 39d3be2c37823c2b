"""Asking a registry whether it accepts credentials, and Docker Hub's search: what needs no repository."""

from engine.core.errors import Internal, Unauthorized
from engine.drivers.registry.authorize import Authorizer
from engine.drivers.registry.credentials import Credentials
from engine.drivers.registry.failures import (
    AccessDenied,
    CredentialsRefused,
    RegistryUnreachable,
)
from engine.drivers.registry.repository import Source
from engine.drivers.registry.settings import Endpoint, origin, server_domain
from engine.drivers.registry.transport import Transport


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
