"""What is said of Dockerfiles without building them, what they may not do, and warnings, through buildx."""

import json
from pathlib import Path

import pytest

from compat_tests.clients.buildx import Buildx
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon
from compat_tests.clients.oracle import cache_directory

pytestmark = pytest.mark.usefixtures("empty_cache")

DOCKERFILE = """\
# VERSION of the base
ARG VERSION=latest
FROM busybox:$VERSION AS Base
# NAME of the thing
ARG NAME=thing
RUN --mount=type=secret,id=key,required --mount=type=ssh true
# last is what is built
FROM scratch AS last
MAINTAINER me
COPY --from=base /etc/passwd /
CMD echo $NOPE
ENV a b
"""


@pytest.fixture
def buildx(engine: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Buildx:  # type: ignore[override]
    """The newest plugin that is here, as old ones cannot ask."""
    newest = cache_directory() / "sid/usr/libexec/docker/cli-plugins/docker-buildx"
    if newest.exists():
        monkeypatch.setenv("DOCKER_BUILDX", str(newest))
    return Buildx(DockerCli(engine.host, tmp_path / "config"), tmp_path / "context")


def call(buildx: Buildx, method: str, *arguments: str) -> tuple[int, str]:
    """Ask for something; skips where the plugin is too old to ask."""
    result = buildx.cli.run("buildx", "build", f"--call={method}", *arguments, str(buildx.directory))
    if "unknown flag: --call" in result.err:
        pytest.skip("this buildx has no --call")
    return result.code, result.out


def test_checks(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": DOCKERFILE})
    code, out = call(buildx, "check,format=json")
    assert code == 1
    found = [(each["ruleName"], each["location"]["ranges"][0]["start"]["line"]) for each in json.loads(out)["warnings"]]
    assert sorted(found) == [
        ("JSONArgsRecommended", 11),
        ("LegacyKeyValueFormat", 12),
        ("MaintainerDeprecated", 9),
        ("StageNameCasing", 3),
    ]


def test_checks_of_what_cannot_be_built(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM busybox AS A\nFROM scratch\nCOPY x\n"})
    code, out = call(buildx, "check,format=json")
    assert code == 1
    found = json.loads(out[: out.rindex("}") + 1])
    assert [each["ruleName"] for each in found["warnings"]] == ["StageNameCasing"]
    assert found["buildError"]["message"].startswith("dockerfile parse error on line 3: COPY requires at least two")


def test_nothing_to_complain_of(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nRUN true\n"})
    assert call(buildx, "check") == (0, "Check complete, no warnings found.\n")


def test_checks_can_be_skipped_and_can_fail_a_build(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "# check=skip=StageNameCasing;error=true\nFROM busybox AS A\n"})
    buildx.ok()
    buildx.write({"Dockerfile": "# check=error=true\nFROM busybox AS A\n"})
    assert "lint violation found for rules: StageNameCasing" in buildx.build().text


def test_outline(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": DOCKERFILE})
    code, out = call(buildx, "outline,format=json", "--target=base", "--build-arg=NAME=other")
    found = json.loads(out)
    assert code == 0
    assert [(each["name"], each["value"], each["description"]) for each in found["args"]] == [
        ("VERSION", "latest", "of the base"),
        ("NAME", "other", "of the thing"),
    ]
    assert [(each["name"], each["required"]) for each in found["secrets"]] == [("key", True)]
    assert [each["name"] for each in found["ssh"]] == ["default"]


def test_targets(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": DOCKERFILE})
    code, out = call(buildx, "targets,format=json")
    assert code == 0
    assert [(t["name"], t.get("default"), t.get("description")) for t in json.loads(out)["targets"]] == [
        ("base", None, None),
        ("last", True, "is what is built"),
    ]


def test_the_hosts_network_must_be_allowed(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nRUN --network=host true\n"})
    assert "failed to load LLB: network.host is not allowed" in buildx.build().text
    buildx.ok("--allow=network.host")
    buildx.ok("--network=host")


def test_full_privileges_cannot_be_allowed(buildx: Buildx) -> None:
    buildx.write({"Dockerfile": "FROM busybox\nRUN true\n"})
    refusal = "granting entitlement security.insecure is not allowed by build daemon configuration"
    assert refusal in buildx.build("--allow=security.insecure").text


def test_owners_without_an_account_are_root(buildx: Buildx) -> None:
    dockerfile = "FROM busybox\nCOPY --chown=nosuch a /a\nCOPY --chown=5:nosuch a /b\nRUN stat -c %u:%g /a /b\n"
    buildx.write({"Dockerfile": dockerfile, "a": ""})
    assert buildx.ok().said("RUN stat").split() == ["0:0", "5:5"]
