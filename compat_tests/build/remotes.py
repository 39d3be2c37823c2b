"""A git daemon and a web server, where an engine is, for what builds fetch by themselves."""

import contextlib
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.build.projects import write
from compat_tests.clients.daemon import Daemon

_DAEMON = Path("/usr/lib/git-core/git-daemon")
_GIT = ["git", "-c", "user.name=n", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
FILES = {
    "Dockerfile": "FROM busybox\nCOPY . /c/\nRUN cd /c; find . -type f | sort; cat v\n",
    "v": "first\n",
    "sub/Dockerfile": "FROM busybox\nCOPY . /c/\nRUN cd /c; find . -type f | sort; cat v\n",
    "sub/v": "below\n",
    "other": "FROM busybox\nRUN echo another\n",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _git(directory: Path, *arguments: str) -> str:
    command = [*_GIT, "-C", str(directory), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def prepare(top: Path) -> Path:
    """A directory to serve: `r.git` with two commits, the first of which has the tag `old`; archives of the first."""
    work, served = top / "work", top / "served"
    served.mkdir()
    write(work, **FILES)
    _git(top, "init", "-q", str(work))
    _git(work, "add", "-A")
    _git(work, "commit", "-qm", "1")
    _git(work, "tag", "old")
    for name, mode in (("c.tar", "w"), ("c.tgz", "w:gz"), ("c.txz", "w:xz")):
        with tarfile.open(served / name, mode, format=tarfile.GNU_FORMAT) as archive:  # type: ignore[call-overload]
            for file in FILES:
                archive.add(work / file, file)
    (served / "remote").write_text(FILES["other"])
    write(work, v="second\n")
    _git(work, "commit", "-qam", "2")
    _git(top, "clone", "-q", "--bare", str(work), str(served / "r.git"))
    (served / "commit").write_text(_git(work, "rev-parse", "old"))
    return served


@contextlib.contextmanager
def serving(engine: Daemon, served: Path, git: int, web: int) -> Iterator[None]:
    """Serve a directory by both protocols at these ports of 127.0.0.1; skips where there is no git daemon."""
    if not _DAEMON.exists():
        pytest.skip("no git daemon")
    options = ["--reuseaddr", "--export-all", f"--base-path={served}", "--listen=127.0.0.1", f"--port={git}"]
    commands = [
        [str(_DAEMON), *options, "--informative-errors"],
        ["python3", "-m", "http.server", "-b", "127.0.0.1", "-d", str(served), str(web)],
    ]
    silent = subprocess.DEVNULL
    started = [
        subprocess.Popen(engine.namespaces.command(command), stdout=silent, stderr=silent) for command in commands
    ]
    try:
        for port in (git, web):
            _await(engine, port)
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def _await(engine: Daemon, port: int) -> None:
    """Wait until something listens."""
    code = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
    deadline = time.monotonic() + 20
    while subprocess.run(
        engine.namespaces.command(["python3", "-c", code]), check=False, capture_output=True
    ).returncode:
        assert time.monotonic() < deadline, "the server does not answer"
