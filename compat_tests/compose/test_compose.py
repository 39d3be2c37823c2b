"""A project with Compose: from nothing to up, changed, looked at and down again."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.clients.cli import DockerCli
from compat_tests.clients.compose import with_compose
from compat_tests.clients.rawhttp import RawHttp

PROJECT = """
name: demo
services:
  db:
    image: busybox
    command: ["sh", "-c", "sleep 0.3; touch /ready; exec sleep 1000"]
    healthcheck: {test: ["CMD", "test", "-e", "/ready"], interval: 1s, retries: 20, start_interval: 100ms, start_period: 20s}
    volumes: ["data:/data"]
    networks: {back: {aliases: [database]}}
    stop_grace_period: 0s
  init:
    image: busybox
    command: ["sh", "-c", "echo init done"]
    networks: [back]
  web:
    image: busybox
    command: ["sh", "-c", "mkdir /www; echo hello > /www/index.html; echo up; exec httpd -f -p 80 -h /www"]
    depends_on:
      db: {condition: service_healthy}
      init: {condition: service_completed_successfully}
    ports: ["127.0.0.1::80"]
    networks: [back, front]
    environment: {GREETING: "${GREETING:-none}"}
    configs: [{source: settings, target: /etc/settings}]
    stop_grace_period: 0s
configs: {settings: {content: "answer=42"}}
volumes: {data: {}}
networks: {back: {internal: true}, front: {}}
"""


class Project:
    """`docker compose` in the project's directory."""

    def __init__(self, cli: DockerCli, directory: Path) -> None:
        self.cli = cli
        self.file = directory / "compose.yaml"
        self.file.write_text(PROJECT)

    def arguments(self, *arguments: str) -> list[str]:
        return ["compose", "-f", str(self.file), "--progress", "quiet", *arguments]

    def ok(self, *arguments: str) -> str:
        return self.cli.ok(*self.arguments(*arguments))

    def states(self) -> dict[str, tuple[str, str]]:
        """State and health by container."""
        lines = self.ok("ps", "-a", "--format", "json").splitlines()
        return {one["Name"]: (one["State"], one["Health"]) for one in map(json.loads, lines)}


@pytest.fixture
def project(cli: DockerCli, tmp_path: Path) -> Iterator[Project]:
    made = Project(with_compose(cli), tmp_path)
    yield made
    made.ok("down", "--volumes", "--timeout", "0")


def test_up_waits_for_what_services_depend_on(project: Project, api: RawHttp) -> None:
    project.ok("up", "-d")
    assert project.states() == {
        "demo-db-1": ("running", "healthy"),
        "demo-init-1": ("exited", ""),
        "demo-web-1": ("running", ""),
    }
    began = {name: api.get(f"/containers/{name}/json")["State"] for name in project.states()}
    assert began["demo-init-1"]["FinishedAt"] < began["demo-web-1"]["StartedAt"]
    assert re.fullmatch(r"127\.0\.0\.1:\d+", project.ok("port", "web", "80"))
    assert project.ok("exec", "-T", "db", "wget", "-qO-", "http://web") == "hello"
    assert project.ok("exec", "-T", "web", "cat", "/etc/settings") == "answer=42"
    # Some versions clear the line first.
    assert re.fullmatch(r"(\x1b\[2K)?init-1\s+\| init done", project.ok("logs", "--no-color", "init"))


def test_up_again_changes_only_what_is_different(project: Project, cli: DockerCli) -> None:
    project.ok("up", "-d")
    ids = dict(line.split() for line in cli.ok("ps", "--no-trunc", "--format", "{{.Names}} {{.ID}}").splitlines())
    project.file.write_text(PROJECT.replace("${GREETING:-none}", "hello"))
    project.ok("up", "-d", "--scale", "web=3", "--timeout", "0")
    now = dict(line.split() for line in cli.ok("ps", "--no-trunc", "--format", "{{.Names}} {{.ID}}").splitlines())
    assert sorted(now) == ["demo-db-1", "demo-web-1", "demo-web-2", "demo-web-3"]
    assert now["demo-db-1"] == ids["demo-db-1"]
    assert now["demo-web-1"] != ids["demo-web-1"]
    assert project.ok("exec", "-T", "--index", "3", "web", "sh", "-c", "echo $GREETING") == "hello"


def test_what_people_do_with_a_running_project(project: Project, cli: DockerCli, tmp_path: Path) -> None:
    project.ok("up", "-d")
    assert project.ok("run", "--rm", "-T", "--no-deps", "web", "echo", "one", "off") == "one off"
    assert "sleep 1000" in project.ok("top", "db")
    project.ok("pause", "db")
    assert project.states()["demo-db-1"][0] == "paused"
    project.ok("unpause", "db")
    project.ok("restart", "--timeout", "0", "web")
    project.ok("cp", "web:/etc/settings", str(tmp_path / "copied"))
    assert (tmp_path / "copied").read_text() == "answer=42"
    project.ok("kill", "web")
    assert project.states()["demo-web-1"][0] == "exited"
    assert json.loads(cli.ok("compose", "ls", "--format", "json"))[0]["Name"] == "demo"


def test_down_leaves_the_volume_unless_told_otherwise(project: Project, cli: DockerCli) -> None:
    project.ok("up", "-d")
    project.ok("down", "--timeout", "0")
    assert cli.ok("ps", "-aq") == ""
    assert cli.ok("network", "ls", "-q", "--filter", "name=demo") == ""
    assert cli.ok("volume", "ls", "-q") == "demo_data"
    project.ok("down", "--volumes")
    assert cli.ok("volume", "ls", "-q") == ""
