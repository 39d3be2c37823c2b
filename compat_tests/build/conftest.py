"""What tests of builds share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.clients.buildx import Buildx, find
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.oracle import cache_directory

_NEW = "sid/usr/libexec/docker/cli-plugins"
_OLD = "trixie/usr/libexec/docker/cli-plugins"


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


@pytest.fixture(params=["new", "old"])
def client(request: pytest.FixtureRequest, engine: Daemon, tmp_path: Path) -> DockerCli:  # type: ignore[override]
    """A CLI with buildx and Compose, new or old."""
    config = tmp_path / "config"
    for name in ("docker-buildx", "docker-compose"):
        _install(name, request.param, config)
    return DockerCli(engine.host, config)


def _install(name: str, which: str, config: Path) -> None:
    there = cache_directory() / (_NEW if which == "new" else _OLD) / name
    plugin = there if there.exists() or which == "old" else find(name)
    if plugin is None or not plugin.exists():
        pytest.skip(f"no {which} {name} on this machine")
    (config / "cli-plugins").mkdir(parents=True, exist_ok=True)
    (config / "cli-plugins" / name).symlink_to(plugin)


def newest_of(daemon: Daemon, tmp_path: Path) -> Buildx:
    """The newest buildx, in an empty context; skips where it cannot show the history of builds."""
    config = tmp_path / "config-of-newest"
    _install("docker-buildx", "new", config)
    made = DockerCli(daemon.host, config)
    if made.run("buildx", "history", "ls", "--format=json").code != 0:
        pytest.skip("this buildx is too old")
    return Buildx(made, tmp_path / "context")


@pytest.fixture
def newest(engine: Daemon, tmp_path: Path) -> Buildx:
    """The newest buildx, in an empty context."""
    return newest_of(engine, tmp_path)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    made = tmp_path / "context"
    made.mkdir()
    return made
