"""Builds that have ended, as they are remembered."""

from msgspec import Struct


class BuildExporter(Struct, frozen=True, kw_only=True):
    """Where a result was to go, in BuildKit's names."""

    kind: str
    attrs: dict[str, str] = {}


class BuildFailure(Struct, frozen=True, kw_only=True):
    """Why a build failed: a gRPC status; `details` are type URLs and values (base64 in records)."""

    code: int
    message: str
    details: list[tuple[str, bytes]] = []


class BuildRecord(Struct, frozen=True, kw_only=True):
    """A build. Times are in nanoseconds since the epoch, 0: not yet.

    `progress` is the size of what was kept of it, `log` the digest.

    `provenance` says what it was made from: the predicate of SLSA's provenance, as JSON.
    """

    ref: str
    frontend: str = ""
    options: dict[str, str] = {}
    exporters: list[BuildExporter] = []
    created: int = 0
    completed: int = 0
    failure: BuildFailure | None = None
    response: dict[str, str] = {}
    total_steps: int = 0
    completed_steps: int = 0
    cached_steps: int = 0
    warnings: int = 0
    progress: int = 0
    log: str = ""
    provenance: str = ""
    pinned: bool = False
    generation: int = 1
