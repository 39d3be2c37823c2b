"""Wildcards in substitutions: `${x#a*}`, `${x%%b?}`, `${x/a*/b}`. Pure.

`?` is one character, `*` any number; there are no bracket expressions.
"""

import re

from engine.domain.builder.dockerfile.failures import InstructionWrong


def replaced(value: str, pattern: str, replacement: str, *, every: bool) -> str:
    """Replace the first match of a pattern, or every one. Raises InstructionWrong."""
    return _compiled(pattern, pattern).sub(lambda _: replacement, value, count=0 if every else 1)


def trimmed(value: str, word: str, kind: str) -> str:
    """Cut a pattern's match off the beginning (`#`) or end (`%`); the longest if it is doubled."""
    greedy = word.startswith(kind)
    word = word[1:] if greedy else word
    if kind == "#":
        match = _compiled(word, word, greedy=greedy).match(value)
        return value[match.end() :] if match else value
    pattern = _compiled(word, word)
    starts = range(len(value) + 1) if greedy else range(len(value), -1, -1)
    return next((value[:at] for at in starts if pattern.fullmatch(value, at)), value)


def _compiled(pattern: str, shown: str, *, greedy: bool = True) -> re.Pattern[str]:
    result, at = "", 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            result += ".*" if greedy else ".*?"
        elif character == "?":
            result += "."
        elif character == "\\" and pattern[at : at + 1] not in ("}", "/"):
            escaped = pattern[at : at + 1]
            if escaped not in ("*", "?", "\\") or not escaped:
                raise InstructionWrong(
                    f"invalid pattern ({shown}) in substitution: invalid escape '\\{escaped or chr(0xFFFD)}'"
                )
            result += re.escape(escaped)
            at += 1
        elif character != "\\":
            result += re.escape(character)
    return re.compile(f"(?s:{result})")
