"""The stock docker CLI, with a configuration directory of its own."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from compat_tests.clients.oracle import docker_cli


@dataclass(frozen=True)
class Result:
    """What a finished command left behind."""

    code: int
    out: str
    err: str


class DockerCli:
    """Runs `docker` against one engine."""

    def __init__(self, host: str, config: Path, environment: dict[str, str] | None = None) -> None:
        config.mkdir(parents=True, exist_ok=True)
        self.binary = docker_cli()
        self.environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(config),
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            "DOCKER_HOST": host,
            "DOCKER_CONFIG": str(config),
            **(environment or {}),
        }

    def argv(self, *arguments: str) -> list[str]:
        return [self.binary, *arguments]

    def run(self, *arguments: str, stdin: bytes | None = None, timeout: float = 60) -> Result:
        """Run to the end; the exit code is the caller's to judge. Without `stdin`, standard input is empty."""
        finished = subprocess.run(
            self.argv(*arguments),
            input=stdin or b"",
            capture_output=True,
            env=self.environment,
            timeout=timeout,
            check=False,
        )
        text = (finished.stdout.decode(errors="replace"), finished.stderr.decode(errors="replace"))
        return Result(finished.returncode, *text)

    def ok(self, *arguments: str, stdin: bytes | None = None, timeout: float = 60) -> str:
        """Standard output, stripped, of a command that must succeed."""
        result = self.run(*arguments, stdin=stdin, timeout=timeout)
        assert result.code == 0, (arguments, result)
        return result.out.strip()

    def fails(self, *arguments: str, stdin: bytes | None = None, timeout: float = 60) -> str:
        """Standard error, stripped, of a command that must fail."""
        result = self.run(*arguments, stdin=stdin, timeout=timeout)
        assert result.code != 0, (arguments, result)
        return result.err.strip()

    @contextmanager
    def spawn(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """A command that goes on beside the test, with pipes for its three streams; killed at the end if need be."""
        pipe = subprocess.PIPE
        with subprocess.Popen(
            self.argv(*arguments), stdin=pipe, stdout=pipe, stderr=pipe, env=self.environment, start_new_session=True
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()
