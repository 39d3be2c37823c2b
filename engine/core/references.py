"""Image references: `[host[:port]/]path[:tag][@digest]`, normalised as Docker does it.

Source of the grammar: the distribution project's reference format. A name without a host belongs to docker.io, and a
single word there to `library/`.
"""

import re
from dataclasses import dataclass

from engine.core.errors import InvalidParameter

DEFAULT_DOMAIN = "docker.io"
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")


class InvalidReference(InvalidParameter):
    """The text does not follow the grammar."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(f"invalid reference format{': ' + reason if reason else ''}")


class HexadecimalName(InvalidParameter):
    """An identifier stands where a name must."""

    def __init__(self, name: str) -> None:
        super().__init__(f"invalid repository name ({name}), cannot specify 64-byte hexadecimal strings")


@dataclass(frozen=True, slots=True)
class Reference:
    """A normalised reference. `tag` and `digest` are empty where not given."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """The repository with its host: `docker.io/library/busybox`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as a user writes it: `busybox`, `foo/bar`, `host:5000/x`."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        return self.path.removeprefix("library/") if self.path.count("/") == 1 else self.path

    @property
    def familiar(self) -> str:
        """The whole reference as a user writes it."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.familiar_name}{tag}{digest}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"

    def with_default_tag(self) -> "Reference":
        """Return the reference with `:latest` where it has neither tag nor digest."""
        if self.tag or self.digest:
            return self
        return Reference(self.domain, self.path, "latest")


def _split_domain(name: str) -> tuple[str, str]:
    head, slash, rest = name.partition("/")
    if not slash or not (any(c in head for c in ".:") or head == "localhost" or head.lower() != head):
        domain, path = DEFAULT_DOMAIN, name
    else:
        domain, path = head, rest
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = f"library/{path}"
    return domain, path


def _split_tag(text: str) -> tuple[str, str]:
    head, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        return text, ""
    return head, tag


def parse(text: str) -> Reference:
    """Parse and normalise what a user typed. Raises InvalidReference with dockerd's text."""
    remote = _split_domain(text)[1].partition(":")[0]
    if remote != remote.lower():
        raise InvalidReference(f"repository name ({remote}) must be lowercase")
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise InvalidReference()
    name, tag = _split_tag(rest)
    if not name or (rest.endswith(":") and not tag) or (tag and not _TAG.fullmatch(tag)):
        raise InvalidReference()
    if re.fullmatch(r"[0-9a-f]{64}", name):
        raise HexadecimalName(name)
    domain, path = _split_domain(name)
    if not _DOMAIN.fullmatch(domain) or not _PATH.fullmatch(path) or len(path) > 255:
        raise InvalidReference()
    return Reference(domain, path, tag, digest)


def is_tag(text: str) -> bool:
    """Tell whether a text can be a tag."""
    return _TAG.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Tell whether `text` is a well-formed digest such as `sha256:…`."""
    return _DIGEST.fullmatch(text) is not None
