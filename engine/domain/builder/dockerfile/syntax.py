"""Which frontend a Dockerfile is written for (`# syntax=…`); the built-in one stands in for all of docker/dockerfile.

Follows BuildKit's `parser.DetectSyntax`: a line for a shell may come first, and where the file is no Dockerfile, the
directive may be a comment of `//` or a key of JSON.
"""

import json
import re

from engine.core import references
from engine.core.errors import InvalidParameter, NotImplementedHere
from engine.domain.builder.dockerfile.parser import directives_of

_SLASHES = re.compile(r"//\s*syntax\s*=\s*(.+?)\s*", re.IGNORECASE)
_BUILT_IN = re.compile(r"(?:.+/)?docker/dockerfile(?:-upstream)?")


class UnknownSyntax(NotImplementedHere):
    """The Dockerfile wants another frontend than the built-in one."""

    def __init__(self, image: str) -> None:
        super().__init__(f"frontend {image} is not supported: only docker/dockerfile is built in")


def syntax_of(text: str) -> str:
    """Return what a file's directive names, an empty text where there is none."""
    if text.startswith("#!"):
        text = text.partition("\n")[2]
    found = directives_of(text).get("syntax", "") or _behind_slashes(text) or _in_json(text)
    return found.split()[0] if found.split() else ""


def _behind_slashes(text: str) -> str:
    match = _SLASHES.fullmatch(text.partition("\n")[0].strip())
    return match[1] if match else ""


def _in_json(text: str) -> str:
    if not text.lstrip().startswith("{"):
        return ""
    try:
        found, _ = json.JSONDecoder().raw_decode(text.lstrip())
    except ValueError:
        return ""
    syntax = found.get("syntax") if isinstance(found, dict) else None
    return syntax if isinstance(syntax, str) else ""


def require_built_in(image: str) -> None:
    """Take docker/dockerfile of any release, from any mirror. Raises UnknownSyntax for anything else."""
    try:
        path = references.parse(image.partition("@")[0]).path
    except InvalidParameter as error:
        raise UnknownSyntax(image) from error
    if not _BUILT_IN.fullmatch(path):
        raise UnknownSyntax(image)
