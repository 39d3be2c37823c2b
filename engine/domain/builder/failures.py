"""What can go wrong in a build, in BuildKit's words."""

from collections.abc import Sequence

from engine.core import os_errors
from engine.core.errors import Internal, InvalidParameter, NotFound, NotImplementedHere
from engine.domain.builder.llb.ops import SourceRange
from engine.drivers.registry.failures import RegistryUnreachable


def worded(error: BaseException) -> str:
    """Return an error's text for clients."""
    return os_errors.text(error) if isinstance(error, OSError) else str(error)


class ChecksumWrong(InvalidParameter):
    """What an ADD has fetched is not what its `--checksum` says."""

    def __init__(self, wanted: str, found: str) -> None:
        super().__init__(f"digest mismatch {found}: {wanted}")


class ProcessFailed(Internal):
    """A command of a build ended with a wrong code."""

    def __init__(self, args: Sequence[str], code: int, reason: str = "") -> None:
        shown = " ".join(args)
        super().__init__(f'process "{shown}" did not complete successfully: {reason or f"exit code: {code}"}')
        self.command = shown
        self.code = code


class ChecksumFailed(Internal):
    """What is to be copied cannot be looked at."""

    def __init__(self, ref: str, cause: BaseException) -> None:
        super().__init__(f"failed to compute cache key: failed to calculate checksum of ref {ref}: {worded(cause)}")


class VertexFailed(Internal):
    """A vertex of the graph cannot be made. `cause` says why; `source` are the lines that ask for it.

    `purpose` is what it was to be made for, where that is not the build's result.
    """

    def __init__(self, digest: str, source: Sequence[SourceRange], cause: Exception, purpose: str = "") -> None:
        super().__init__(f"failed to {purpose}: {worded(cause)}" if purpose else worded(cause))
        self.digest = digest
        self.source = source
        self.cause = cause

    def when(self, purpose: str) -> "VertexFailed":
        """Return the same failure, which says what the vertex was to be made for."""
        return VertexFailed(self.digest, self.source, self.cause, purpose)

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


class SourceUnresolved(Internal):
    """What an image's name stands for cannot be found out."""

    def __init__(self, reference: str, cause: BaseException) -> None:
        reason = f"failed to do request: {cause}" if isinstance(cause, RegistryUnreachable) else worded(cause)
        super().__init__(f"failed to resolve source metadata for {reference}: {reason}")


class DownloadFailed(Internal):
    """A web server does not give what is asked for."""

    def __init__(self, status: int) -> None:
        super().__init__(f"failed to load cache key: invalid response status {status}")


class KeyFailed(Internal):
    """What tells a source's tree from others cannot be found out."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"failed to load cache key: {worded(cause)}")


class StorageFailed(Internal):
    """The disk is full or broken."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(worded(cause))
