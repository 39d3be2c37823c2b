"""What a conversion is told: the client's options, and where to ask for images and named contexts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from engine.core.model.image import Platform
from engine.domain.builder.llb.ops import Edge, NetMode


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of a build for one platform.

    `target_platform` None: the builder's own, and an image of another one may be a base. `no_cache`: None, or the
    stages without cache, all for an empty list. `epoch` is in ns, None: as it comes.
    """

    target: str = ""
    build_args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    target_platform: Platform | None = None
    build_platform: Platform = field(default_factory=Platform)
    multi_platform: bool = False
    no_cache: Sequence[str] | None = None
    network: NetMode = NetMode.SANDBOX
    extra_hosts: Sequence[tuple[str, str]] = ()
    ulimits: Sequence[tuple[str, int, int]] = ()
    shm_size: int = 0
    cgroup_parent: str = ""
    hostname: str = ""
    cache_namespace: str = ""
    resolve_mode: str = "default"
    epoch: int | None = None
    all_stages: bool = False

    @property
    def platform(self) -> Platform:
        """The platform that the image is for."""
        return self.target_platform or self.build_platform

    def ignores_cache(self, stage: str) -> bool:
        """Tell whether a stage is built anew."""
        if self.no_cache is None:
            return False
        return not self.no_cache or stage.lower() in {name.lower() for name in self.no_cache}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The Dockerfile: its name and its bytes."""

    filename: str
    data: bytes


@dataclass(frozen=True, slots=True)
class BaseImage:
    """An image that a stage begins with: its full reference, its digest, its configuration's bytes."""

    reference: str
    digest: str
    config: bytes


@dataclass(frozen=True, slots=True)
class ContextTree:
    """A named context: its tree, and the configuration where it is an image."""

    tree: Edge | None
    config: bytes | None = None


class Surroundings(Protocol):
    """What a conversion asks for while it goes on."""

    async def image(self, reference: str, platform: Platform, log_name: str) -> BaseImage:
        """Return what is known of an image. Raises WharfError."""
        ...

    async def named_context(self, name: str, platform: Platform) -> ContextTree | None:
        """Return the context that the client calls by that name, None where there is none."""
        ...

    async def ignore_patterns(self) -> Sequence[str]:
        """Return the patterns of .dockerignore."""
        ...
