"""Which paths a list of patterns means, as in .dockerignore: `**`, negation with `!`, a directory with all below it.

The rules are those of moby's `patternmatcher`, upon which BuildKit's include and exclude patterns rest.
"""

import posixpath
import re
from collections.abc import Sequence

_WELL_FORMED = re.compile(r"(?:[^\\\[]|\\.|\[\^?(?:[^\\\]-]|\\.)(?:-(?:[^\\\]-]|\\.)|[^\\\]-]|\\.)*\])*", re.DOTALL)

State = tuple[bool, ...]
"""Which patterns a directory matches: what is in it matches them too."""


class Patterns:
    """Compiled patterns. A later one overrules those before it."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [p for p in map(_compiled, patterns) if p is not None]
        self.nothing: State = (False,) * len(self._patterns)

    def match(self, path: str, above: State) -> tuple[bool, State]:
        """Tell whether a path matches, given what is known of the directory that it is in; and what is known of it."""
        matched, found = False, []
        for index, (expression, negative) in enumerate(self._patterns):
            hit = above[index]
            if not hit and negative == matched:
                hit = expression.fullmatch(path) is not None
            found.append(hit)
            if hit:
                matched = not negative
        return matched, tuple(found)


def _compiled(pattern: str) -> "tuple[re.Pattern[str], bool] | None":
    pattern = pattern.strip()
    if not pattern:
        return None
    negative = pattern.startswith("!")
    pattern = posixpath.normpath(pattern[negative:].strip()).lstrip("/")
    return re.compile(expression_of(pattern), re.DOTALL), negative


def is_well_formed(pattern: str) -> bool:
    """Tell whether Go's `filepath.Match` takes a pattern: brackets are closed and not empty, no backslash is last."""
    return _WELL_FORMED.fullmatch(pattern) is not None


def expression_of(pattern: str) -> str:
    """Return the regular expression of a pattern."""
    parts, at = [], 0
    while at < len(pattern):
        piece, at = _piece(pattern, at)
        parts.append(piece)
    return "".join(parts)


def _piece(pattern: str, at: int) -> tuple[str, int]:
    character = pattern[at]
    if pattern.startswith("**", at):
        end = at + 2
        if end >= len(pattern):
            return ".*", end
        return ("(?:.*/)?", end + 1) if pattern[end] == "/" else (".*", end)
    if character in "*?":
        return ("[^/]*" if character == "*" else "[^/]"), at + 1
    if character == "\\" and at + 1 < len(pattern):
        return re.escape(pattern[at + 1]), at + 2
    end = pattern.find("]", at + 2) if character == "[" else -1
    if end < 0:
        return re.escape(character), at + 1
    inside = pattern[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
    return f"[{inside}]", end + 1
