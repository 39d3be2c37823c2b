"""What can go wrong with trees, in dockerd's words where it has some."""

from engine.core.errors import Internal, InvalidParameter


class ArchiveRefused(InvalidParameter):
    """An archive is damaged, or asks for something that it may not have."""


class NotADirectory(Internal):
    """Something that is not a directory is where one must be."""

    def __init__(self, path: str) -> None:
        super().__init__(f"Cannot mkdir: {path} is not a directory")


class WorkerFailed(Internal):
    """A confined process ended without an answer, or met an error of its own."""


class PathMissing(ArchiveRefused):
    """A path of a build's source tree is not there, in BuildKit's words."""

    def __init__(self, path: str) -> None:
        super().__init__(f'"/{path.strip("/")}": not found')


class EntryMissing(PathMissing):
    """The same where it is only noticed when it is copied."""

    def __init__(self, path: str, reason: str = "no such file or directory") -> None:
        ArchiveRefused.__init__(self, f"lstat /{path.strip('/')}: {reason}")


class CopyRefused(ArchiveRefused):
    """Something is in the way of a copy."""
