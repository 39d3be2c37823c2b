"""Contexts that the engine fetches by itself: repositories, archives and Dockerfiles from the web."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from compat_tests.build.projects import write
from compat_tests.build.remotes import FILES, free_port, prepare, serving
from compat_tests.clients.buildx import outcome, with_buildx
from compat_tests.clients.cli import DockerCli
from compat_tests.clients.daemon import Daemon

pytestmark = pytest.mark.usefixtures("empty_cache")


@pytest.fixture
def client(cli: DockerCli) -> DockerCli:
    """One client is enough: it only says where the context is."""
    return with_buildx(cli)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(tmp_path_factory.mktemp("remote"))


@pytest.fixture(scope="module")
def servers(engine: Daemon, served: Path) -> Iterator[tuple[str, str]]:
    """The addresses of a repository and of a web server."""
    git, web = free_port(), free_port()
    with serving(engine, served, git, web):
        yield f"git://127.0.0.1:{git}/r.git", f"http://127.0.0.1:{web}"


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
    assert (code, said) == (0, FILES["other"]), text


def test_what_is_not_there(client: DockerCli, servers: tuple[str, str]) -> None:
    missing = 'failed to read dockerfile: failed to load cache key: repository does not contain ref nosuch, output: ""'
    assert missing in _built(client, f"{servers[0]}#nosuch")[2]
    answer = "failed to read downloaded context: failed to load cache key: invalid response status 404"
    assert answer in _built(client, f"{servers[1]}/nosuch")[2]
