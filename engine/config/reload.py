"""Which settings a running daemon takes over at SIGHUP, as dockerd does: those that nothing is built upon."""

from typing import Any

import msgspec

from engine.config import arguments
from engine.config.load import load
from engine.config.settings import Config

RELOADED = (
    "authorization_plugins",
    "debug",
    "log_level",
    "labels",
    "registry_mirrors",
    "insecure_registries",
    "max_concurrent_downloads",
    "max_concurrent_uploads",
    "max_download_attempts",
    "image_gc",
    "image_gc_age",
    "shutdown_timeout",
    "default_runtime",
    "runtimes",
    "features",
)


def again(config: Config) -> Config:
    """Load the settings anew, from the same command line and the file as it is now. Blocks. Raises ConfigError."""
    return load(arguments.parse(config.arguments), config.arguments)


def reloadable(old: Config, new: Config) -> Config:
    """Return the running settings with those of the new ones that can change while the daemon runs."""
    return msgspec.structs.replace(old, **{name: getattr(new, name) for name in RELOADED})


def changes(old: Config, new: Config) -> dict[str, Any]:
    """Return the new values of what differs, by name: for the log and the `reload` event."""
    return {name: getattr(new, name) for name in RELOADED if getattr(old, name) != getattr(new, name)}
