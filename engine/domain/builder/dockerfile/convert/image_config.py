"""An image's configuration in the making: BuildKit's JSON of it, read and written (`docker-image-spec`)."""

import copy
from typing import Any

import msgspec
from msgspec import Struct

from engine.core.model.image import Platform
from engine.domain.builder.dockerfile.failures import InstructionWrong

_COMMENT = "buildkit.dockerfile.v0"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Health(Struct, omit_defaults=True, rename="pascal"):
    """A health check; times in ns."""

    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class RunConfig(Struct, omit_defaults=True, rename="pascal"):
    """How containers of the image run."""

    user: str = ""
    exposed_ports: dict[str, dict[str, Any]] | None = None
    env: list[str] | None = None
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    volumes: dict[str, dict[str, Any]] | None = None
    working_dir: str = ""
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    args_escaped: bool = False
    healthcheck: Health | None = None
    on_build: list[str] | None = None
    shell: list[str] | None = None


class RootFs(Struct):
    """The layers, by the digests of their plain archives."""

    type: str = "layers"
    diff_ids: list[str] | None = None


class History(Struct, omit_defaults=True):
    """A step."""

    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


_NAMES = {"os_version": "os.version", "os_features": "os.features"}


class ImageConfig(Struct, omit_defaults=True, rename=_NAMES):
    """All of it."""

    created: str | None = None
    author: str = ""
    architecture: str = ""
    os: str = ""
    os_version: str = ""
    os_features: list[str] | None = None
    variant: str = ""
    rootfs: RootFs = msgspec.field(default_factory=RootFs)
    history: list[History] | None = None
    config: RunConfig = msgspec.field(default_factory=RunConfig)

    @property
    def platform(self) -> Platform:
        """The platform that it is for."""
        return Platform(os=self.os, architecture=self.architecture, variant=self.variant, os_version=self.os_version)

    def clone(self) -> "ImageConfig":
        """Return a copy that shares nothing."""
        return copy.deepcopy(self)

    def commit(self, step: str, *, layer: bool = False, created: str | None = None) -> None:
        """Add a step to the history."""
        entry = History(created=created, created_by=step, comment=_COMMENT, empty_layer=not layer)
        self.history = [*(self.history or []), entry]

    def set_env(self, name: str, value: str) -> None:
        """Set a variable, at its place where it is there."""
        env = list(self.config.env or [])
        place = next((i for i, each in enumerate(env) if each.partition("=")[0] == name), len(env))
        env[place : place + 1] = [f"{name}={value}"]
        self.config.env = env

    def with_path(self) -> None:
        """Set PATH where it is not set."""
        if self.os != "windows" and not any(each.partition("=")[0] == "PATH" for each in self.config.env or ()):
            self.config.env = [*(self.config.env or []), f"PATH={_SYSTEM_PATH}"]


def empty(platform: Platform) -> ImageConfig:
    """Return the configuration of `scratch`."""
    found = ImageConfig(os=platform.os, architecture=platform.architecture, variant=platform.variant)
    found.config.working_dir = "/"
    found.with_path()
    return found


def read(data: bytes) -> ImageConfig:
    """Return a configuration. Raises InstructionWrong."""
    try:
        found = msgspec.json.decode(_without_nulls(data), type=ImageConfig)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InstructionWrong(f"failed to parse image config: {error}") from error
    return found


def _without_nulls(data: bytes) -> bytes:
    """Drop nulls, which Go reads as values that are not there."""
    found = msgspec.json.decode(data)
    if not isinstance(found, dict):
        return data
    for part in (found, found.get("config"), found.get("rootfs")):
        if isinstance(part, dict):
            for key in [key for key, value in part.items() if value is None]:
                del part[key]
    return msgspec.json.encode(found)


def write(image: ImageConfig) -> bytes:
    """Return a configuration as JSON."""
    shown = image.clone()
    config = shown.config
    for name in ("exposed_ports", "env", "entrypoint", "cmd", "volumes", "labels", "on_build", "shell"):
        if not getattr(config, name):
            setattr(config, name, None)
    found = msgspec.to_builtins(shown)
    found.setdefault("architecture", "")
    found.setdefault("os", "")
    found["rootfs"] = {"type": shown.rootfs.type, "diff_ids": shown.rootfs.diff_ids}
    found["config"] = msgspec.to_builtins(config)
    order = ("created", "author", "architecture", "os", "os.version", "os.features", "variant", "rootfs", "history")
    return msgspec.json.encode({key: found[key] for key in (*order, "config") if key in found})
