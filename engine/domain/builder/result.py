"""What a frontend is asked and what it answers, in BuildKit's names: options and inputs; trees and metadata."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.domain.builder.llb.ops import Edge


@dataclass(frozen=True, slots=True)
class FrontendRequest:
    """`options` are BuildKit's FrontendOpt (`filename`, `target`, `build-arg:X`, …); `inputs` trees by name."""

    options: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, Edge | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FrontendResult:
    """What a build comes to. `refs` are by platform, or one by the empty name; None is an empty tree.

    `metadata` holds `containerimage.config`, `refs.platforms` and their kin; `warnings` were sent to the progress.
    """

    refs: Mapping[str, Edge | None] = field(default_factory=dict)
    metadata: Mapping[str, bytes] = field(default_factory=dict)
