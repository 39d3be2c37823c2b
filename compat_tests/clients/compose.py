"""The CLI's plugin Compose."""

from pathlib import Path

import pytest

from compat_tests.clients.buildx import find
from compat_tests.clients.cli import DockerCli


def with_compose(cli: DockerCli) -> DockerCli:
    """Let the CLI have the plugin; skips the test where the machine has none."""
    plugin = find("docker-compose")
    if plugin is None:
        pytest.skip("docker-compose is not installed")
    link = Path(cli.environment["DOCKER_CONFIG"]) / "cli-plugins" / "docker-compose"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(plugin)
    return cli
