"""The CLI's plugin buildx: `docker build` as most people have it."""

import os
from pathlib import Path

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.oracle import cache_directory

_PLACES = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
    "/var/cache/wharf-cli/usr/libexec/docker/cli-plugins",
)


def find(name: str = "docker-buildx") -> Path | None:
    """A plugin's program: `$DOCKER_BUILDX`, an installed one, or that beside the oracle's CLI."""
    named = os.environ.get(name.upper().replace("-", "_"))
    places = [*map(Path, _PLACES), cache_directory() / "sid/usr/libexec/docker/cli-plugins"]
    found = [Path(named)] if named else [place / name for place in places]
    return next((path for path in found if path.exists()), None)


def with_buildx(cli: DockerCli) -> DockerCli:
    """Let the CLI have the plugin; skips the test where the machine has none."""
    plugin = find()
    if plugin is None:
        pytest.skip("docker-buildx is not installed")
    link = Path(cli.environment["DOCKER_CONFIG"]) / "cli-plugins" / "docker-buildx"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(plugin)
    return cli
