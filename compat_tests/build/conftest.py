"""What tests of builds share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.clients.buildx import Buildx
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon


@pytest.fixture
def buildx(cli: DockerCli, tmp_path: Path) -> Buildx:
    """`docker build` with the plugin, in an empty context."""
    return Buildx(cli, tmp_path / "context")


@pytest.fixture(scope="module")
def empty_cache(engine: Daemon, nothing_left: None) -> Iterator[None]:
    """After the module's tests the build cache is emptied, and so is what it holds."""
    yield
    engine.wipe()
    for image in engine.api.get("/images/json?all=1"):
        if "busybox:latest" not in (image["RepoTags"] or []):
            engine.api.request("DELETE", f"/images/{image['Id']}?force=1")
    assert engine.api.request("POST", "/build/prune?all=1").status == 200
