"""What a frontend is asked, and what it answers: graphs, and what is to be said of the images made of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.domain.builder.llb.ops import Edge


@dataclass(frozen=True, slots=True)
class FrontendRequest:
    """Options by BuildKit's names (`filename`, `target`, `build-arg:X`, …), and graphs that they refer to."""

    options: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, Edge | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FrontendResult:
    """Trees by platform (`linux/amd64`), or one alone under the empty name; None is an empty tree.

    Metadata by BuildKit's names: `containerimage.config`, `containerimage.config/linux/arm64`, `result.json`, ….
    """

    refs: Mapping[str, Edge | None] = field(default_factory=dict)
    metadata: Mapping[str, bytes] = field(default_factory=dict)
