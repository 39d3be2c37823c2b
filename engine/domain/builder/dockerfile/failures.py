"""What can be wrong with a Dockerfile, in the words of BuildKit's parser."""

from engine.core.errors import InvalidParameter


class InstructionWrong(InvalidParameter):
    """An instruction that makes no sense; the line is added by whoever knows it."""


class ParseFailed(InvalidParameter):
    """A line that cannot be read. `line` counts from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"dockerfile parse error on line {line}: {reason}")


class NothingToBuild(InvalidParameter):
    """A Dockerfile without a single instruction."""

    def __init__(self) -> None:
        super().__init__("file with no instructions")


class EmptyDockerfile(InvalidParameter):
    """A Dockerfile without a byte."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the Dockerfile ({name}) cannot be empty")
