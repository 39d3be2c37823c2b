"""A remote git repository: what a name there stands for, and the files of a commit.

`git` gets no configuration, no prompt and no protocol but those that builds may use; nothing that comes from a build
can be taken for an option. Credentials travel in the environment, not on the command line.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.core.errors import Internal, InvalidParameter, NotImplementedHere
from engine.drivers.linux import proc

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_PROTOCOLS = "http:https:git:ssh"


class GitMissing(NotImplementedHere):
    """The host has no git."""

    def __init__(self) -> None:
        super().__init__("git is not installed on the daemon's host")


class GitFailed(Internal):
    """git could not do it; the text is its own."""

    def __init__(self, what: str, output: str) -> None:
        super().__init__(f"failed to {what}: {output}")


class RefMissing(Internal):
    """The repository has no such branch, tag or commit."""

    def __init__(self, ref: str, output: str) -> None:
        super().__init__(f'repository does not contain ref {ref}, output: "{output}"')


class UnusableRemote(InvalidParameter):
    """Something else than a repository's address or a name in it."""

    def __init__(self, text: str) -> None:
        super().__init__(f"invalid git reference: {text}")


@dataclass(frozen=True, slots=True)
class GitAccess:
    """How a repository is reached: a header for its server, an SSH agent's socket, known hosts (a file)."""

    authorization: str = field(default="", repr=False)
    agent: Path | None = None
    known_hosts: Path | None = None

    def environment(self) -> dict[str, str]:
        """Return what git needs to know."""
        found = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": _PROTOCOLS,
            "GIT_SSH_COMMAND": self._ssh(),
            "LC_ALL": "C",
        }
        found |= {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
        if self.agent is not None:
            found["SSH_AUTH_SOCK"] = str(self.agent)
        if self.authorization:
            found |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "http.extraHeader",
                "GIT_CONFIG_VALUE_0": f"Authorization: {self.authorization}",
            }
        return found

    def _ssh(self) -> str:
        checked = f"-o UserKnownHostsFile={self.known_hosts}" if self.known_hosts else "-o StrictHostKeyChecking=no"
        return f"ssh -F /dev/null -o BatchMode=yes {checked}"


class GitRepository:
    """One remote repository. Raises GitMissing, GitFailed, OSError throughout."""

    def __init__(self, remote: str, access: GitAccess) -> None:
        if remote.startswith("-") or "\0" in remote:
            raise UnusableRemote(remote)
        self._remote = remote
        self._access = access

    async def commit_of(self, ref: str) -> str:
        """Return the commit that a branch, a tag or an id means; empty: the default branch. Raises RefMissing."""
        if _COMMIT.fullmatch(ref):
            return ref
        wanted = ref or "HEAD"
        _require_plain(wanted)
        output = await self._git(["ls-remote", "--", self._remote, wanted, f"{wanted}^{{}}"], "fetch remote")
        found = {name: commit for commit, _, name in (line.partition("\t") for line in output.splitlines())}
        # A branch goes before a tag of the same name; a tag that has a message stands for the commit it names.
        for name in (wanted, f"refs/heads/{wanted}", f"refs/tags/{wanted}^{{}}", f"refs/tags/{wanted}"):
            if name in found:
                return found[name]
        raise RefMissing(wanted, output)

    async def checkout(self, commit: str, ref: str, directory: Path, *, submodules: bool = True) -> None:
        """Put the files of a commit into an empty directory, with `.git`. Raises RefMissing."""
        git = ["-C", str(directory)]
        await self._git([*git, "init", "--quiet", "--template="], "init repo")
        await self._git([*git, "remote", "add", "origin", "--", self._remote], "add remote")
        if not await self._fetched(git, commit) and not await self._fetched(git, ref or "HEAD"):
            raise RefMissing(commit, "")
        await self._git([*git, "checkout", "--quiet", "--force", "--detach", commit], "checkout remote")
        if submodules and (directory / ".gitmodules").is_file():
            update = [*git, "submodule", "update", "--quiet", "--init", "--recursive", "--depth=1"]
            await self._git(update, "update submodules")

    async def _fetched(self, git: Sequence[str], what: str) -> bool:
        _require_plain(what)
        try:
            await self._git([*git, "fetch", "--quiet", "--depth=1", "--no-tags", "origin", what], "fetch remote")
        except GitFailed:
            # Some servers do not give single commits.
            try:
                await self._git([*git, "fetch", "--quiet", "--tags", "origin"], "fetch remote")
            except GitFailed:
                return False
        return True

    async def _git(self, arguments: Sequence[str], what: str) -> str:
        environment: Mapping[str, str] = self._access.environment()
        safe = ["-c", "core.hooksPath=/dev/null", "-c", "protocol.ext.allow=never", "-c", "advice.detachedHead=false"]
        try:
            done = await proc.run(["git", *safe, *arguments], env=environment)
        except FileNotFoundError as error:
            raise GitMissing from error
        if done.returncode != 0:
            raise GitFailed(what, done.error)
        return done.stdout.decode(errors="replace")


def _require_plain(ref: str) -> None:
    """Raise UnusableRemote for what git could take for something else than a name."""
    if ref.startswith("-") or ":" in ref or any(ord(character) <= 32 for character in ref):
        raise UnusableRemote(ref)
