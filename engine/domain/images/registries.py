"""What is asked of registries without bringing anything in: login, what a name stands for there, search."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from engine.core import filters as core_filters
from engine.core.errors import Forbidden, InvalidParameter, NotFound, Unauthorized
from engine.core.filters import Filters
from engine.core.model.image import Descriptor, Platform
from engine.core.references import Reference
from engine.domain.images import documents
from engine.domain.images.documents import DOCKER_MANIFEST, Index
from engine.domain.images.failures import NoCredentials, NotAuthorized
from engine.drivers.registry import login
from engine.drivers.registry.credentials import Credentials
from engine.drivers.registry.failures import (
    AccessDenied,
    AuthorizationRefused,
    CredentialsRefused,
    ManifestNotFound,
    RegistryUnreachable,
    UnexpectedStatus,
)
from engine.drivers.registry.repository import Repository
from engine.drivers.registry.search import Found, search
from engine.drivers.registry.transport import Transport

KNOWN_FILTERS = ("is-automated", "is-official", "stars")


class ManifestUnknown(NotFound):
    """The registry has no such manifest."""

    def __init__(self) -> None:
        super().__init__("manifest unknown: manifest unknown")


class AuthenticationRequired(Unauthorized):
    """The registry does not accept the password."""

    def __init__(self) -> None:
        super().__init__("unauthorized: authentication required")


class AccessForbidden(Forbidden):
    """The registry's token server knows the client, or nobody, but gives no access."""

    def __init__(self) -> None:
        super().__init__(
            "errors:\ndenied: requested access to the resource is denied\nunauthorized: authentication required\n"
        )


class LimitOutOfRange(InvalidParameter):
    """More search results asked for than there may be."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"limit {limit} is outside the range of [1, 100]")


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a name stands for at its registry. `platforms` is None where the manifest does not say."""

    descriptor: Descriptor
    platforms: Sequence[Platform] | None


class Registries:
    """Asks registries."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def login(self, credentials: Credentials) -> str:
        """Return the identity token, empty where there is none. Raises WharfError where the login fails."""
        return await login.login(self._transport, credentials)

    async def describe(self, reference: Reference, credentials: Credentials) -> Distribution:
        """Ask what a name stands for. Raises ManifestUnknown, NoCredentials, RegistryUnreachable."""
        repository = Repository(self._transport, reference, credentials)
        endpoint = repository.origin.endpoint
        wanted = reference.digest or reference.tag
        url = self._transport.url(endpoint, f"/v2/{reference.path}/manifests/{wanted}")
        try:
            descriptor = await repository.resolve(reference)
        except ManifestNotFound as error:
            raise ManifestUnknown from error
        except CredentialsRefused as error:
            raise NotAuthorized("Head", url, error.detail) from error
        except AuthorizationRefused as error:
            raise AccessForbidden from error
        except UnexpectedStatus as error:
            if error.is_unauthorized:
                raise AuthenticationRequired from error
            raise
        except AccessDenied as error:
            raise NoCredentials("Head", url) from error
        except RegistryUnreachable as error:
            url = endpoint.url.replace("https:", "http:") if endpoint.may_be_plain else endpoint.url
            raise RegistryUnreachable("GET", f"{url}/v2/", error.cause) from error
        return Distribution(descriptor, await self._platforms(repository, descriptor))

    async def _platforms(self, repository: Repository, descriptor: Descriptor) -> list[Platform] | None:
        """Return the platforms of an index or a Docker manifest; OCI manifests are not looked into, as in dockerd."""
        if descriptor.media_type not in documents.INDEXES | {DOCKER_MANIFEST}:
            return None
        document = documents.parse(await repository.manifest(descriptor), descriptor.media_type)
        if isinstance(document, Index):
            return [m.platform for m in document.manifests if m.platform is not None]
        try:
            config = msgspec.json.decode(await repository.document(document.config), type=dict[str, object])
        except msgspec.DecodeError:
            return None
        return [Platform(os=str(config.get("os", "")), architecture=str(config.get("architecture", "")))]

    async def search(self, term: str, limit: int, filters: Filters) -> list[Found]:
        """Search Docker Hub, or the registry that the term names; `limit` 0 means 25.

        Raises InvalidFilter, LimitOutOfRange, NoSuchEndpoint, RegistryUnreachable, SearchRefused.
        """
        core_filters.require_known(filters, KNOWN_FILTERS)
        if not 0 <= limit <= 100:
            raise LimitOutOfRange(limit)
        official = core_filters.boolean(filters, "is-official")
        automated = core_filters.boolean(filters, "is-automated")
        stars = max((_stars(value) for value in filters.get("stars", ())), default=0)
        found = await search(self._transport, term, limit or 25)
        return [
            f for f in found if f.stars >= stars and official in (None, f.official) and automated in (None, f.automated)
        ]


def _stars(value: str) -> int:
    if not value.isdigit():
        raise core_filters.InvalidFilter(f"stars={value}", f'strconv.Atoi: parsing "{value}": invalid syntax')
    return int(value)
