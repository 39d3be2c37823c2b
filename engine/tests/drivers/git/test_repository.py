"""Names and commits of a repository that git itself serves."""

import shutil
import socket
import subprocess
import time

import pytest

from engine.drivers.git.repository import GitAccess, GitFailed, GitRepository, RefMissing, UnusableRemote

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git")


def git(directory, *arguments):
    argv = ["git", "-c", "user.name=n", "-c", "user.email=e@x", *arguments]
    return subprocess.run(argv, cwd=directory, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    root = tmp_path_factory.mktemp("git")
    work = root / "repo"
    work.mkdir()
    git(work, "init", "-q", "-b", "main")
    commits = []
    for number in (1, 2):
        (work / "file").write_text(str(number))
        git(work, "add", ".")
        git(work, "commit", "-qm", str(number))
        commits.append(git(work, "rev-parse", "HEAD"))
        if number == 1:
            git(work, "tag", "-a", "v1", "-m", "v1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [
        "git",
        "daemon",
        "--export-all",
        f"--base-path={root}",
        "--listen=127.0.0.1",
        f"--port={port}",
        "--reuseaddr",
    ]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL, start_new_session=True) as daemon:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.02)
        yield f"git://127.0.0.1:{port}/repo/.git", commits
        daemon.terminate()


def repository(url):
    return GitRepository(url, GitAccess())


async def test_names(served):
    url, (first, second) = served
    for ref, commit in (("", second), ("main", second), ("v1", first), ("refs/heads/main", second), (first, first)):
        assert await repository(url).commit_of(ref) == commit


async def test_a_name_that_is_not_there(served):
    with pytest.raises(RefMissing, match="repository does not contain ref none"):
        await repository(served[0]).commit_of("none")


async def test_files_of_a_commit(served, tmp_path):
    url, (first, _) = served
    await repository(url).checkout(first, "v1", tmp_path)
    assert (tmp_path / "file").read_text() == "1"
    assert (tmp_path / ".git").is_dir()


@pytest.mark.parametrize("ref", ["--upload-pack=touch /x", "-x", "a:b", "a b", "a\nb"])
async def test_names_that_could_be_options(served, ref):
    with pytest.raises(UnusableRemote):
        await repository(served[0]).commit_of(ref)


def test_addresses_that_could_be_options():
    with pytest.raises(UnusableRemote):
        repository("--upload-pack=touch /x")


@pytest.mark.parametrize("url", ["ext::sh -c touch% /tmp/pwned", "file:///etc", "/etc"])
async def test_protocols_that_builds_may_not_use(url):
    with pytest.raises(GitFailed):
        await repository(url).commit_of("main")


def test_credentials_are_not_on_the_command_line():
    found = GitAccess(authorization="basic secret").environment()
    assert found["GIT_CONFIG_VALUE_0"] == "Authorization: basic secret"
    assert "secret" not in repr(GitAccess(authorization="basic secret"))
