"""The CLI's plugin buildx: `docker build` as most people have it."""

import os
import re
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Outcome:
    """How a build went. `steps`: CACHED, DONE or ERROR by the vertex's name; `output`: the steps' own, by name."""

    code: int
    text: str
    steps: dict[str, str] = field(default_factory=dict)
    output: dict[str, str] = field(default_factory=dict)

    def of(self, part: str) -> str:
        """What became of the one step whose name contains this."""
        found = [state for name, state in self.steps.items() if part in name]
        assert len(found) == 1, (part, self.text)
        return found[0]

    def said(self, part: str) -> str:
        """What the one step whose name contains this has printed."""
        found = [text for name, text in self.output.items() if part in name]
        return found[0] if found else ""


class Buildx:
    """Builds one context directory with `docker build`."""

    def __init__(self, cli: DockerCli, directory: Path) -> None:
        self.cli = with_buildx(cli)
        self.directory = directory
        directory.mkdir(exist_ok=True)

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def arguments(self, *arguments: str) -> list[str]:
        return ["build", "--progress=plain", *arguments, str(self.directory)]

    def build(self, *arguments: str, timeout: float = 60) -> Outcome:
        result = self.cli.run(*self.arguments(*arguments), timeout=timeout)
        return outcome(result.code, result.err)

    def ok(self, *arguments: str, timeout: float = 60) -> Outcome:
        found = self.build(*arguments, timeout=timeout)
        assert found.code == 0, found.text
        return found


def outcome(code: int, text: str) -> Outcome:
    """Read plain progress."""
    names: dict[str, str] = {}
    steps: dict[str, str] = {}
    output: dict[str, str] = {}
    for line in text.splitlines():
        match = re.fullmatch(r"#(\d+) (.*)", line)
        if match is None:
            continue
        number, rest = match.groups()
        state = re.match(r"(CACHED|DONE|ERROR|CANCELED)\b", rest)
        said = re.match(r"\d+\.\d+ (.*)", rest)
        if number not in names:
            names[number] = rest
        elif state:
            steps[names[number]] = state[1]
        elif said:
            output[names[number]] = output.get(names[number], "") + said[1] + "\n"
    return Outcome(code, text, steps, output)
