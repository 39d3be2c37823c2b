"""What can be wrong with a Dockerfile, in the words of BuildKit's parser."""

from engine.core.errors import InvalidParameter

Lines = tuple[int, int]
"""The first and the last line, from 1; (0, 0): not known."""


class InstructionWrong(InvalidParameter):
    """An instruction that makes no sense; the line is added by whoever knows it."""


class ParseFailed(InvalidParameter):
    """Something that is wrong at certain lines."""

    def __init__(self, reason: str, lines: Lines = (0, 0)) -> None:
        super().__init__(reason)
        self.lines = lines


def on_line(reason: str, lines: Lines) -> ParseFailed:
    """Return the failure of an instruction that cannot be read, whose text names the line."""
    return ParseFailed(f"dockerfile parse error on line {lines[0]}: {reason}", lines)


class Unreadable(ParseFailed):
    """Something that cannot even be taken apart into words."""


class NothingToBuild(Unreadable):
    """A Dockerfile without a single instruction."""

    def __init__(self) -> None:
        super().__init__("file with no instructions", (1, 1))


class EmptyDockerfile(ParseFailed):
    """A Dockerfile without a byte."""

    def __init__(self) -> None:
        super().__init__("the Dockerfile cannot be empty")
