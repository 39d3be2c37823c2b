"""Contexts that the engine fetches by itself: repositories, archives and Dockerfiles from the web."""

import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.build.projects import write
from compat_tests.clients.buildx import outcome
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon

pytestmark = pytest.mark.usefixtures("empty_cache")
_DAEMON = Path("/usr/lib/git-core/git-daemon")
_GIT = ["git", "-c", "user.name=n", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
_FILES = {
    "Dockerfile": "FROM busybox\nCOPY . /c/\nRUN cd /c; find . -type f | sort; cat v\n",
    "v": "first\n",
    "sub/Dockerfile": "FROM busybox\nCOPY . /c/\nRUN cd /c; find . -type f | sort; cat v\n",
    "sub/v": "below\n",
    "other": "FROM busybox\nRUN echo another\n",
}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _git(directory: Path, *arguments: str) -> str:
    command = [*_GIT, "-C", str(directory), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two commits, the first of which has the tag `old`; archives of the first."""
    top = tmp_path_factory.mktemp("remote")
    work, served = top / "work", top / "served"
    served.mkdir()
    write(work, **_FILES)
    _git(top, "init", "-q", str(work))
    _git(work, "add", "-A")
    _git(work, "commit", "-qm", "1")
    _git(work, "tag", "old")
    for name, mode in (("c.tar", "w"), ("c.tgz", "w:gz"), ("c.txz", "w:xz")):
        with tarfile.open(served / name, mode, format=tarfile.GNU_FORMAT) as archive:  # type: ignore[call-overload]
            for file in _FILES:
                archive.add(work / file, file)
    (served / "remote").write_text(_FILES["other"])
    write(work, v="second\n")
    _git(work, "commit", "-qam", "2")
    _git(top, "clone", "-q", "--bare", str(work), str(served / "r.git"))
    (served / "commit").write_text(_git(work, "rev-parse", "old"))
    return served


@pytest.fixture(scope="module")
def servers(engine: Daemon, served: Path) -> Iterator[tuple[str, str]]:
    """The addresses of a git daemon and of a web server, where the engine is."""
    if not _DAEMON.exists():
        pytest.skip("no git daemon")
    git, web = _free_port(), _free_port()
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
            _answers(engine, port)
        yield f"git://127.0.0.1:{git}/r.git", f"http://127.0.0.1:{web}"
    finally:
        for process in started:
            process.kill()
            process.wait()


def _answers(engine: Daemon, port: int) -> None:
    """Wait until something listens."""
    code = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
    deadline = time.monotonic() + 20
    while subprocess.run(
        engine.namespaces.command(["python3", "-c", code]), check=False, capture_output=True
    ).returncode:
        assert time.monotonic() < deadline, "the server does not answer"


def _built(client: DockerCli, *arguments: str) -> tuple[int, str, str]:
    """A build's code, what its command has said, and everything."""
    result = client.run("build", "--progress=plain", "--no-cache", *arguments)
    return result.code, outcome(result.code, result.err).said("RUN"), result.err


_TOP = "./Dockerfile ./other ./sub/Dockerfile ./sub/v ./v"


@pytest.mark.parametrize(
    ("fragment", "files"),
    [
        ("", f"{_TOP} second"),
        ("#old", f"{_TOP} first"),
        ("#main:sub", "./Dockerfile ./v below"),
        ("#:sub", "./Dockerfile ./v below"),
        ("#refs/heads/main", f"{_TOP} second"),
        ("#COMMIT", f"{_TOP} first"),
    ],
)
def test_repositories(client: DockerCli, servers: tuple[str, str], served: Path, fragment: str, files: str) -> None:
    fragment = fragment.replace("COMMIT", (served / "commit").read_text())
    code, said, text = _built(client, f"{servers[0]}{fragment}")
    assert code == 0, text
    assert said.split() == files.split()
    assert f"[internal] load git source {servers[0]}{fragment}" in text


def test_another_dockerfile_of_a_repository(client: DockerCli, servers: tuple[str, str]) -> None:
    assert _built(client, "-f", "other", servers[0])[:2] == (0, "another\n")


def test_a_repository_with_its_history(client: DockerCli, servers: tuple[str, str]) -> None:
    code, said, text = _built(client, "--build-arg", "BUILDKIT_CONTEXT_KEEP_GIT_DIR=1", servers[0])
    assert code == 0, text
    assert "./.git/HEAD" in said.split()


@pytest.mark.parametrize("archive", ["c.tar", "c.tgz", "c.txz"])
def test_archives_from_the_web(client: DockerCli, servers: tuple[str, str], archive: str) -> None:
    code, said, text = _built(client, f"{servers[1]}/{archive}")
    assert code == 0, text
    assert said.split() == [*_TOP.split(), "first"]
    assert "[internal] load remote build context" in text


def test_a_dockerfile_from_the_web(client: DockerCli, servers: tuple[str, str]) -> None:
    assert _built(client, f"{servers[1]}/remote")[:2] == (0, "another\n")


def test_a_repository_as_a_named_context(client: DockerCli, servers: tuple[str, str], context: Path) -> None:
    write(context, Dockerfile="FROM busybox\nCOPY --from=g v /g\nRUN cat /g\n")
    code, said, text = _built(client, "--build-context", f"g={servers[0]}#old:sub", str(context))
    assert (code, said) == (0, "below\n"), text


@pytest.mark.wharfd_only("dockerd 28.5 answers: invalid argument")
def test_a_file_as_a_named_context(client: DockerCli, servers: tuple[str, str], context: Path) -> None:
    write(context, Dockerfile="FROM busybox\nCOPY --from=w context /w\nRUN cat /w\n")
    code, said, text = _built(client, "--build-context", f"w={servers[1]}/remote", str(context))
    assert (code, said) == (0, _FILES["other"]), text


def test_what_is_not_there(client: DockerCli, servers: tuple[str, str]) -> None:
    missing = 'failed to read dockerfile: failed to load cache key: repository does not contain ref nosuch, output: ""'
    assert missing in _built(client, f"{servers[0]}#nosuch")[2]
    answer = "failed to read downloaded context: failed to load cache key: invalid response status 404"
    assert answer in _built(client, f"{servers[1]}/nosuch")[2]
