"""What can go wrong in a build, in BuildKit's words."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from engine.core import os_errors
from engine.core.errors import Internal, InvalidParameter, NotFound, NotImplementedHere, WharfError
from engine.domain.builder.dockerfile.shell import go_quoted
from engine.domain.builder.llb.ops import SourceRange
from engine.drivers.registry.failures import RegistryUnreachable

NO_SOURCE_KEY = "failed to load cache key"
NO_CONTENT_KEY = "failed to compute cache key"


def worded(error: BaseException) -> str:
    """Return an error's text for clients."""
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "too many links"
    return os_errors.text(error) if isinstance(error, OSError) else str(error)


class ChecksumWrong(InvalidParameter):
    """What an ADD has fetched is not what its `--checksum` says."""

    def __init__(self, wanted: str, found: str) -> None:
        super().__init__(f"digest mismatch {found}: {wanted}")


class ProcessFailed(Internal):
    """A command of a build ended with a wrong code."""

    def __init__(self, args: Sequence[str], code: int, reason: str = "") -> None:
        self.reason = reason or f"exit code: {code}"
        super().__init__(f"process {go_quoted(' '.join(args))} did not complete successfully: {self.reason}")
        self.code = code


@contextmanager
def of_process(args: Sequence[str]) -> Iterator[None]:
    """Let errors of what is made ready for a command be the command's own. Raises ProcessFailed."""
    try:
        yield
    except (WharfError, OSError) as error:
        raise ProcessFailed(args, 0, worded(error)) from error


class ChecksumFailed(Internal):
    """What is to be copied cannot be looked at."""

    def __init__(self, ref: str, cause: BaseException) -> None:
        super().__init__(f"failed to calculate checksum of ref {ref}: {worded(cause)}")


class VertexFailed(Internal):
    """A vertex of the graph cannot be made. `cause` says why; `source` are the lines that ask for it.

    `meanwhile` says what was done with the vertex, where that is not its own work.
    """

    def __init__(self, digest: str, source: Sequence[SourceRange], cause: Exception, meanwhile: str = "") -> None:
        super().__init__(f"{meanwhile}: {worded(cause)}" if meanwhile else worded(cause))
        self.digest = digest
        self.source = source
        self.cause = cause
        self.meanwhile = meanwhile

    def when(self, purpose: str) -> "VertexFailed":
        """Return the same failure, which says what the vertex was to be made for."""
        inner = f": {self.meanwhile}" if self.meanwhile else ""
        return VertexFailed(self.digest, self.source, self.cause, f"failed to {purpose}{inner}")

    @property
    def exit_code(self) -> int | None:
        """The code that a command ended with, where that is the cause."""
        return self.cause.code if isinstance(self.cause, ProcessFailed) else None


class MissingSecret(NotFound):
    """The client has no secret of that name."""

    def __init__(self, secret_id: str) -> None:
        super().__init__(f"secret {secret_id}: not found")


class NotEntitled(InvalidParameter):
    """A command that wants what the client has not allowed."""

    def __init__(self, entitlement: str) -> None:
        super().__init__(f"failed to load LLB: {entitlement} is not allowed")


class EntitlementRefused(InvalidParameter):
    """The client allows what no build may do here."""

    def __init__(self, entitlement: str) -> None:
        super().__init__(f"granting entitlement {entitlement} is not allowed by build daemon configuration")


class UnknownSource(NotImplementedHere):
    """A kind of source that is not served."""

    def __init__(self, scheme: str) -> None:
        super().__init__(f"unsupported source type: {scheme}")


class UnsupportedDiff(NotImplementedHere):
    """The difference of two trees of which one does not lie upon the other."""

    def __init__(self) -> None:
        super().__init__("the difference of unrelated trees is not supported")


class RequestFailed(Internal):
    """A registry cannot be reached."""

    def __init__(self, cause: RegistryUnreachable) -> None:
        super().__init__(f"failed to do request: {cause}")


class SourceUnresolved(Internal):
    """What an image's name stands for cannot be found out."""

    def __init__(self, reference: str, cause: BaseException) -> None:
        super().__init__(f"failed to resolve source metadata for {reference}: {worded(cause)}")


class DownloadFailed(Internal):
    """A web server does not give what is asked for."""

    def __init__(self, status: int) -> None:
        super().__init__(f"invalid response status {status}")


class StorageFailed(Internal):
    """The disk is full or broken."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(worded(cause))
