"""What can be wrong with a graph that a client sends."""

from engine.core.errors import InvalidParameter


class InvalidDefinition(InvalidParameter):
    """A definition that makes no sense."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid LLB definition: {reason}")
