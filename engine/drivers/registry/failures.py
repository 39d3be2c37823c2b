"""What can go wrong at a registry; the texts are those of dockerd with the containerd image store."""

from pathlib import Path

from engine.core.errors import Internal, InvalidParameter, NotFound, Unauthorized
from engine.drivers.registry.answers import worded

NO_CONTENT = "failed to copy: httpReadSeeker: failed open: "


class RegistryUnreachable(Internal):
    """No answer: name resolution, connection, TLS, time-out."""

    def __init__(self, method: str, url: str, cause: str, *, temporary: bool = True) -> None:
        super().__init__(f'{method.capitalize()} "{url}": {cause}')
        self.cause = cause
        self.is_temporary = temporary


class UnexpectedStatus(Internal):
    """An answer that is none of those expected. `told`: what the registry says about it, which counts more."""

    def __init__(self, method: str, url: str, status: str, told: str = "") -> None:
        unexpected = f"unexpected status from {method} request to {url}: {status}"
        super().__init__(f"error from registry: {told}" if told else unexpected)
        self.told = told
        self.is_unauthorized = status.startswith("401")
        self.is_temporary = status.startswith(("5", "408", "429"))


class ManifestNotFound(NotFound):
    """The registry has no such manifest."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"{reference}: not found")


class ContentNotFound(NotFound):
    """The registry has no such manifest or blob."""


class NotFetched(Internal):
    """Content did not begin to come."""

    def __init__(self, error: "RegistryUnreachable | UnexpectedStatus") -> None:
        request = "failed to do request: " if isinstance(error, RegistryUnreachable) else ""
        super().__init__(f"{NO_CONTENT}{request}{error}")
        self.is_temporary = error.is_temporary


class RepositoryNotFound(NotFound):
    """The registry does not know the repository (all its tags were asked for)."""

    def __init__(self, name: str) -> None:
        super().__init__(f"repository {name} not found: name unknown: repository name not known to registry")


class AccessDenied(Internal):
    """The registry wants to know more of the client than it told."""

    def __init__(self, action: str, reason: str) -> None:
        super().__init__(
            f"{action} access denied, repository does not exist or may require authorization: {reason}",
        )


class AuthorizationRefused(AccessDenied):
    """The registry said that the token which its own server gave is not good enough."""


class CredentialsRefused(Unauthorized):
    """The token server does not accept the credentials. `detail` is what it says, in the words of registry errors."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"error from registry: {message}")
        self.detail = f"{worded(code)}: {message}"


class ClientCertificateIncomplete(InvalidParameter):
    """Of a certificate and its key in `certs.d` one is missing."""

    def __init__(self, directory: Path, missing: str, present: str) -> None:
        if missing.endswith(".key"):
            text = (
                f"missing key {missing} for client certificate {present}. CA certificates must use the extension .crt"
            )
        else:
            text = f"missing client certificate {missing} for key {present}"
        super().__init__(text)
        self.directory = directory


class CertificateUnreadable(Internal):
    """A file of `certs.d` is not what its name says."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


class InvalidChallenge(Internal):
    """What the registry asks for makes no sense or would give secrets away."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid authorization challenge: {reason}")


class ResponseTooLarge(Internal):
    """A document is larger than any sane one."""

    def __init__(self, url: str, limit: int) -> None:
        super().__init__(f"answer of {url} is larger than {limit} bytes")


class InvalidDigest(Internal):
    """A header's digest is none. `reason`: in the words of Go's digest package."""

    def __init__(self, digest: str, reason: str) -> None:
        super().__init__(f'"{digest[:200]}" in header not a valid digest: {reason}')


class MalformedAnswer(Internal):
    """An answer that does not follow the distribution specification."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"malformed answer of {url}: {reason}")


class TransferInterrupted(Internal):
    """The connection broke in the middle of a blob; what has arrived is kept."""

    def __init__(self, url: str, cause: str) -> None:
        super().__init__(f"failed to copy: {url}: {cause}")
