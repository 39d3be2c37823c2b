"""What a frontend is asked and what it answers, in BuildKit's names: options and inputs; trees and metadata."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.domain.builder.llb.ops import Edge


@dataclass(frozen=True, slots=True)
class FrontendRequest:
    """`options` are BuildKit's FrontendOpt (`filename`, `target`, `build-arg:X`, …); `inputs` trees by name."""

    options: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, Edge | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attestation:
    """What is to be said of a tree's image; the predicate is JSON's in Python's types."""

    predicate_type: str
    predicate: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FrontendResult:
    """What a build comes to. `refs` are by platform, or one by the empty name; None is an empty tree.

    `metadata` holds `containerimage.config`, `refs.platforms` and their kin; warnings were sent to the progress.
    `attestations` are by platform, as `refs` are.
    """

    refs: Mapping[str, Edge | None] = field(default_factory=dict)
    metadata: Mapping[str, bytes] = field(default_factory=dict)
    attestations: Mapping[str, Sequence[Attestation]] = field(default_factory=dict)
