"""References to git repositories, as contexts, ADD sources and named contexts may be. Pure.

`https://host/x.git#ref:dir`, `git://…`, `ssh://…`, `git@host:x.git`, `github.com/x/y`, and `?ref=…&subdir=…` queries.
"""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from engine.domain.builder.dockerfile.failures import InstructionWrong

_SCP = re.compile(r"(?:([a-zA-Z0-9_-]+)@)?([a-zA-Z0-9_.-]+):(.*?)(?:#(.*))?")
_SCHEMES = ("http", "https", "ssh", "git")
_QUERY = frozenset(
    {"ref", "tag", "branch", "subdir", "checksum", "commit", "keep-git-dir", "submodules", "mtime", "fetch-by-commit"}
)


@dataclass(frozen=True, slots=True)
class GitRef:
    """A repository, and what of it. `remote` is without a fragment; `maybe_local`: a path may look like that, too."""

    remote: str
    ref: str = ""
    subdir: str = ""
    checksum: str = ""
    keep_git_dir: bool | None = None
    submodules: bool | None = None
    maybe_local: bool = False

    @property
    def identifier(self) -> str:
        """The source's name in LLB: `git://host/path#ref:subdir`."""
        fragment = self.ref + (f":{self.subdir}" if self.subdir else "")
        return f"git://{_display(self.remote)}" + (f"#{fragment}" if fragment else "")


def _display(remote: str) -> str:
    scheme, found, rest = remote.partition("://")
    if found and scheme in _SCHEMES:
        return rest.rpartition("@")[2] if "@" in rest.partition("/")[0] else rest
    match = _SCP.fullmatch(remote)
    return f"{match[2]}/{match[3].lstrip('/')}" if match else remote


def parse_git_ref(text: str) -> GitRef | None:
    """Return the repository that a text names, None where it names none. Raises InstructionWrong."""
    if text.startswith(("./", "/")) or not text:
        return None
    if text.startswith("github.com/"):
        return _split(f"https://{text}", maybe_local=True)
    scheme, found, _ = text.partition("://")
    if found:
        return _of_url(text, scheme.lower())
    if re.fullmatch(r"(?:[a-zA-Z0-9_-]+@)[a-zA-Z0-9_.-]+:.+", text):
        return _split(text)
    return None


def _of_url(text: str, scheme: str) -> GitRef | None:
    if scheme not in _SCHEMES:
        return None
    url = urlsplit(text)
    if scheme in ("http", "https") and not url.path.endswith(".git"):
        return None
    return _split(text)


def _split(text: str, *, maybe_local: bool = False) -> GitRef:
    remote, _, fragment = text.partition("#")
    remote, _, query = remote.partition("?")
    ref, _, subdir = fragment.partition(":")
    found = dict(parse_qsl(query, keep_blank_values=True))
    for key in found:
        if key not in _QUERY:
            raise InstructionWrong(f'unexpected query "{key}"')
    given = next((found[key] for key in ("ref", "tag", "branch") if key in found), "")
    if given and ref and given != ref:
        raise InstructionWrong(f"ref conflicts: {given} vs {ref}")
    return GitRef(
        remote=remote,
        ref=ref or given,
        subdir=_clean(subdir or found.get("subdir", "")),
        checksum=found.get("checksum", found.get("commit", "")),
        keep_git_dir=_truth(found, "keep-git-dir"),
        submodules=_truth(found, "submodules"),
        maybe_local=maybe_local,
    )


def _clean(subdir: str) -> str:
    return "" if subdir in ("", "/", ".") else subdir


def _truth(found: dict[str, str], key: str) -> bool | None:
    if key not in found:
        return None
    value = found[key].lower()
    if value not in ("", "1", "t", "true", "0", "f", "false"):
        raise InstructionWrong(f'invalid {key} value: "{found[key]}"')
    return value in ("", "1", "t", "true")
