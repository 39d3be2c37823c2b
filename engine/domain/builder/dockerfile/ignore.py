"""`.dockerignore`: which paths of a context are left out. Pure.

Patterns are Go's `filepath.Match` with `**`. The last one that matches a path, or a directory above it, decides; `!`
keeps.
"""

import functools
import re
from collections.abc import Callable, Sequence


def read_patterns(text: str) -> list[str]:
    """Return the patterns of a file, cleaned."""
    return [pattern for line in text.removeprefix("\ufeff").splitlines() if (pattern := _cleaned(line))]


def _cleaned(line: str) -> str:
    line = "" if line.startswith("#") else line.strip()
    negated = line.startswith("!")
    if negated:
        line = line[1:].strip()
    if line:
        parts: list[str] = []
        for part in line.split("/"):
            if part == ".." and parts:
                parts.pop()
            elif part not in ("", ".", ".."):
                parts.append(part)
        line = "/".join(parts) or "."
    return f"!{line}" if negated else line


def ignoring(patterns: Sequence[str]) -> Callable[[str], bool] | None:
    """Return what tells whether a path is left out; None without patterns, or where one keeps what others leave out."""
    if not patterns or any(pattern.startswith("!") for pattern in patterns):
        return None
    return lambda path: is_left_out(patterns, path)


def is_left_out(patterns: Sequence[str], path: str) -> bool:
    """Tell whether a path is left out, for itself or for a directory above it; the last pattern that speaks decides."""
    parts = path.strip("/").split("/")
    above = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    left_out = False
    for pattern in patterns:
        keeps = pattern.startswith("!")
        if left_out == keeps and any(_compiled(pattern.removeprefix("!")).fullmatch(each) for each in above):
            left_out = not keeps
    return left_out


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    result, at = "", 0
    while at < len(pattern):
        if pattern.startswith("**", at):
            at += 2
            if pattern[at : at + 1] == "/":
                at += 1
            result += "(?:.*/)?" if at < len(pattern) or pattern.endswith("/") else ".*"
            continue
        character = pattern[at]
        at += 1
        if character == "*":
            result += "[^/]*"
        elif character == "?":
            result += "[^/]"
        elif character == "\\" and at < len(pattern):
            result += re.escape(pattern[at])
            at += 1
        elif character == "[" and "]" in pattern[at + 1 :]:
            end = pattern.index("]", at + 1)
            result += pattern[at - 1 : end + 1]
            at = end + 1
        else:
            result += re.escape(character)
    return re.compile(result)
