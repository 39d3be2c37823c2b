"""What can go wrong in a build, in the words of dockerd's classic builder."""

from engine.core.errors import Internal, InvalidParameter, NotFound


class CommandFailed(Internal):
    """A RUN step ended with another code than 0, which clients read from the error."""

    def __init__(self, command: str, code: int) -> None:
        super().__init__(f"The command '{command}' returned a non-zero code: {code}")
        self.code = code


class StepFailed(Internal):
    """A step that copies or sets something cannot be done."""


class DockerfileMissing(Internal):
    """The context has no file of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Cannot locate specified Dockerfile: {name}")


class TargetMissing(InvalidParameter):
    """No stage has the wanted name."""

    def __init__(self, target: str) -> None:
        super().__init__(f"target stage {target!r} could not be found".replace("'", '"'))


class InvalidStage(InvalidParameter):
    """`--from` names nothing that is there."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"invalid from flag value {name}: {reason}")


class ImageUnavailable(NotFound):
    """A base image can neither be found nor pulled."""


class ChecksumWrong(InvalidParameter):
    """What an ADD has fetched is not what its `--checksum` says."""

    def __init__(self, wanted: str, found: str) -> None:
        super().__init__(f"digest mismatch {found}: {wanted}")


class RemoteUnsupported(InvalidParameter):
    """A kind of remote context that is not served."""

    def __init__(self, remote: str) -> None:
        super().__init__(f"remote context {remote} is not supported")
