"""The section `builder` of `daemon.json`: bounds of the build cache, what builds may be allowed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.build.conftest import newest_of
from compat_tests.clients.buildx import Buildx
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.waiting import eventually
from compat_tests.conftest import Suite

_SETTINGS = {
    "gc": {"policy": [{"keepStorage": "10GB", "filter": ["type=regular"]}, {"all": True, "maxUsedSpace": "1MB"}]},
    "entitlements": {"network-host": False, "security-insecure": True},
}
_BIG = "FROM busybox\nRUN head -c 3000000 /dev/urandom > /big\nRUN echo small > /small\n"


@pytest.fixture(scope="module")
def daemon(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that is started with these settings after it has built something without."""
    with suite.running() as made:
        project = newest_of(made, tmp_path_factory.mktemp("before"))
        assert [rule.split()[2] for rule in _rules(project)] == ["false", "false", "false", "true"]
        project.write({"Dockerfile": _BIG})
        project.ok("--output", "type=cacheonly")
        assert len(_steps(made)) == 2
        made.stop()
        settings = made.state / ("daemon.json" if made.kind == "wharfd" else "oracle.json")
        settings.write_text(json.dumps({**json.loads(settings.read_text()), "builder": _SETTINGS}))
        made.start()
        yield made


@pytest.fixture
def project(daemon: Daemon, tmp_path: Path) -> Buildx:
    return newest_of(daemon, tmp_path)


def _rules(project: Buildx) -> list[str]:
    """What `docker buildx inspect` shows of the garbage collection."""
    shown = project.cli.ok("buildx", "inspect")
    return [" ".join(rule.split()).replace("Filters: Max", "Max") for rule in shown.split("GC Policy rule#")[1:]]


def _steps(daemon: Daemon) -> list[str]:
    cache = daemon.api.get("/system/df?type=build-cache")["BuildCache"]
    return [each["Description"] for each in cache if "from exec" in each["Description"]]


def test_rules_of_the_garbage_collection(project: Buildx) -> None:
    assert _rules(project) == [
        "0: All: false Filters: type==regular Reserved Space: 10GiB",
        "1: All: true Max Used Space: 1MiB",
    ]


@pytest.mark.wharfd_only("dockerd cleans up after builds only, and at most once a minute")
def test_what_is_too_much_is_deleted(daemon: Daemon) -> None:
    eventually(lambda: len(_steps(daemon)) < 2)


def test_what_the_daemon_forbids(project: Buildx) -> None:
    project.write({"Dockerfile": "FROM busybox\nRUN --network=host true\n"})
    assert "failed to load LLB: network.host is not allowed" in project.build().text
    refused = "granting entitlement network.host is not allowed by build daemon configuration"
    assert refused in project.build("--allow", "network.host").text


def test_what_the_daemon_allows(project: Buildx) -> None:
    project.write({"Dockerfile": "FROM busybox\nRUN grep Seccomp: /proc/self/status\n"})
    assert project.ok("--allow", "security.insecure").said("grep").split() == ["Seccomp:", "2"]


@pytest.mark.wharfd_only("dockerd knows the flag with `# syntax=docker/dockerfile:1-labs` only")
def test_full_privileges(project: Buildx) -> None:
    project.write({"Dockerfile": "FROM busybox\nRUN --security=insecure grep Seccomp: /proc/self/status\n"})
    assert "failed to load LLB: security.insecure is not allowed" in project.build().text
    assert project.ok("--allow", "security.insecure").said("grep").split() == ["Seccomp:", "0"]
