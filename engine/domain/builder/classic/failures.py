"""What can go wrong in a build, in the words of dockerd's classic builder."""

from engine.core.errors import Internal, InvalidParameter
from engine.domain.builder.dockerfile.git_refs import parse_git_ref


def is_web_address(remote: str) -> bool:
    """Tell whether a remote context is on the web, and not a repository of git."""
    return remote.startswith(("http://", "https://")) and parse_git_ref(remote) is None


class CommandFailed(Internal):
    """A RUN step ended with another code than 0, which clients read from the error."""

    def __init__(self, command: str, code: int) -> None:
        super().__init__(f"The command '{command}' returned a non-zero code: {code}")
        self.code = code


class StepFailed(Internal):
    """A step cannot be done."""


class DockerfileMissing(Internal):
    """The context has no file of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Cannot locate specified Dockerfile: {name}")


class NotRemote(Internal):
    """A remote context that is none."""

    def __init__(self, remote: str) -> None:
        super().__init__(f"remoteURL ({remote}) could not be recognized as URL")


class RemoteFailed(Internal):
    """A remote context that cannot be had."""

    def __init__(self, remote: str, reason: str) -> None:
        reason = reason.removeprefix("failed to load cache key: ").removeprefix("failed to fetch remote: ")
        reason = reason.replace("invalid response status", f"failed to GET {remote} with status")
        what = f"downloading remote context {remote}" if is_web_address(remote) else "fetching"
        super().__init__(f"error {what}: {reason}")


class OutsideContext(Internal):
    """The Dockerfile's name leads out of the context."""

    def __init__(self, name: str) -> None:
        super().__init__(f"forbidden path outside the build context: {name} ()")


class EmptyDockerfile(InvalidParameter):
    """A Dockerfile without a byte."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the Dockerfile ({name}) cannot be empty")


class TargetMissing(InvalidParameter):
    """No stage has the wanted name."""

    def __init__(self, target: str) -> None:
        super().__init__(f'target stage "{target}" could not be found')


class StageNameTaken(Internal):
    """Two stages have the same name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} stage name already used")


class NothingBuilt(Internal):
    """The last stage has not a single step."""

    def __init__(self) -> None:
        super().__init__("No image was generated. Is your Dockerfile empty?")


class InvalidStage(Internal):
    """`--from` names nothing that is there."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"invalid from flag value {name}: {reason}")


class SquashUnsupported(InvalidParameter):
    """Squashing is an experiment that dockerd, too, offers only when told to."""

    def __init__(self) -> None:
        super().__init__("squash is only supported with experimental mode")


class ContextUnreadable(Internal):
    """The body is no archive, or one that cannot be unpacked."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Error processing tar file(exit status 1): {reason}")
