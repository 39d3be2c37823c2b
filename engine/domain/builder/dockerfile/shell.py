"""Expansion of variables in a Dockerfile's words: `$x`, `${x:-y}` and its kin, quotes, escapes.

Follows BuildKit's `frontend/dockerfile/shell`. Pure.
"""

import re
from collections.abc import Mapping

from engine.domain.builder.dockerfile.failures import InstructionWrong

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*|[0-9]+|[@*#]")
_MODIFIERS = ("##", "#", "%%", "%", "//", "/", ":+", ":-", ":?", "+", "-", "?")


def expand(text: str, env: Mapping[str, str], escape: str = "\\") -> str:
    """Return a word with its variables replaced and its quotes removed. Raises InstructionWrong."""
    return _Lexer(text, env, escape).run()[0]


def expand_words(text: str, env: Mapping[str, str], escape: str = "\\") -> list[str]:
    """Return the words that a text becomes: what variables bring is split at blanks, too. Raises InstructionWrong."""
    return _Lexer(text, env, escape).run()[1]


def expand_raw(text: str, env: Mapping[str, str]) -> str:
    """Return a heredoc's content with its variables replaced; quotes stay."""
    return _Lexer(text, env, "\\", raw=True).run()[0]


class _Lexer:
    """Goes through one text."""

    def __init__(self, text: str, env: Mapping[str, str], escape: str, *, raw: bool = False) -> None:
        self._text = text
        self._at = 0
        self._env = env
        self._escape = escape
        self._raw = raw
        self._words: list[str] = []
        self._word = ""
        self._in_word = False

    def run(self) -> tuple[str, list[str]]:
        result = self._until("")
        self._end_word()
        return result, self._words

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        self._at += 1
        return self._text[self._at - 1]

    def _end_word(self) -> None:
        if self._in_word:
            self._words.append(self._word)
        self._word, self._in_word = "", False

    def _add(self, text: str, *, split: bool = False) -> str:
        for character in text:
            if split and character in " \t\n\r":
                self._end_word()
            else:
                self._word += character
                self._in_word = True
        return text

    def _until(self, stop: str) -> str:
        result = ""
        while (character := self._peek()) and character != stop:
            if character == "'" and not self._raw:
                result += self._single_quoted()
            elif character == '"' and not self._raw:
                result += self._double_quoted()
            elif character == "$":
                result += self._add(self._dollar(), split=True)
            elif character == self._escape:
                result += self._escaped()
            else:
                result += self._add(self._next(), split=True)
        return result

    def _escaped(self) -> str:
        self._next()
        if not self._peek():
            return self._add(self._escape) if self._raw else ""
        if self._raw and self._peek() != "$":
            return self._add(self._escape)
        return self._add(self._next())

    def _single_quoted(self) -> str:
        self._next()
        end = self._text.find("'", self._at)
        if end < 0:
            raise InstructionWrong("unexpected end of statement while looking for matching single-quote")
        content, self._at = self._text[self._at : end], end + 1
        self._in_word = True
        return self._add(content)

    def _double_quoted(self) -> str:
        self._next()
        self._in_word = True
        result = ""
        while (character := self._peek()) != '"':
            if not character:
                raise InstructionWrong("unexpected end of statement while looking for matching double-quote")
            if character == "$":
                result += self._add(self._dollar())
            elif character == self._escape:
                result += self._add(self._escaped_in_quotes())
            else:
                result += self._add(self._next())
        self._next()
        return result

    def _escaped_in_quotes(self) -> str:
        escape, following = self._next(), self._peek()
        if not following:
            return escape
        return self._next() if following in ('"', "$", self._escape) else escape + self._next()

    def _dollar(self) -> str:
        self._next()
        if self._peek() != "{":
            match = _NAME.match(self._text, self._at)
            if match is None:
                return "$"
            self._at = match.end()
            return self._env.get(match[0], "")
        self._next()
        return self._braced()

    def _braced(self) -> str:
        match = _NAME.match(self._text, self._at)
        if match is None:
            raise InstructionWrong(
                "syntax error: missing '}'" if "}" not in self._text[self._at :] else "bad substitution"
            )
        name, self._at = match[0], match.end()
        if self._peek() == "}":
            self._next()
            return self._env.get(name, "")
        modifier = next((m for m in _MODIFIERS if self._text.startswith(m, self._at)), "")
        if not modifier:
            if not self._peek():
                raise InstructionWrong("syntax error: missing '}'")
            raise InstructionWrong(f"unsupported modifier ({self._text[self._at : self._at + 2]}) in substitution")
        self._at += len(modifier)
        return self._modified(name, modifier)

    def _argument(self, stop: str) -> str:
        """Read a modifier's word, in which variables are replaced."""
        inner = _Lexer(self._text[self._at :], self._env, self._escape)
        result = inner._until(stop)
        self._at += inner._at
        if not self._peek():
            raise InstructionWrong("syntax error: missing '}'")
        self._next()
        return result

    def _modified(self, name: str, modifier: str) -> str:
        value = self._env.get(name)
        if modifier in ("/", "//"):
            pattern, replacement = self._argument("/"), self._argument("}")
            count = 1 if modifier == "/" else 0
            return re.sub(_pattern(pattern), lambda _: replacement, value or "", count=count)
        word = self._argument("}")
        if modifier[0] in "#%":
            return _trimmed(value or "", word, modifier)
        there = bool(value) if modifier.startswith(":") else value is not None
        if modifier.endswith("+"):
            return word if there else ""
        if modifier.endswith("-"):
            return value or "" if there else word
        if not there:
            reason = word or (
                "is not allowed to be unset or empty" if modifier == ":?" else "is not allowed to be unset"
            )
            raise InstructionWrong(f"{name}: {reason}")
        return value or ""


def _pattern(text: str, *, greedy: bool = True) -> str:
    more = "*" if greedy else "*?"
    parts = re.findall(r"\\.|\*|\?|[^*?\\]+|\\", text, re.DOTALL)
    known = {"*": f".{more}", "?": "."}
    return (
        "(?s:" + "".join(known.get(p) or re.escape(p[1:] if len(p) == 2 and p[0] == "\\" else p) for p in parts) + ")"
    )


def _trimmed(value: str, word: str, modifier: str) -> str:
    greedy = len(modifier) == 2
    if modifier[0] == "#":
        match = re.match(_pattern(word, greedy=greedy), value)
        return value[match.end() :] if match else value
    starts = range(len(value) + 1) if greedy else range(len(value), -1, -1)
    pattern = re.compile(_pattern(word))
    return next((value[:at] for at in starts if pattern.fullmatch(value, at)), value)
