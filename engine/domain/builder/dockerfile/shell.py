"""Expansion of variables in a Dockerfile's words: `$x`, `${x:-y}` and its kin, quotes, escapes.

Follows BuildKit's `frontend/dockerfile/shell`. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.domain.builder.dockerfile.failures import InstructionWrong
from engine.domain.builder.dockerfile.shell_patterns import replaced, trimmed

_NAME = re.compile(r"[0-9]+|[@*#?$!-]|\w+")
_ESCAPES = {"\\": "\\\\", '"': '\\"'} | dict(
    zip("\a\b\f\n\r\t\v", ("\\a", "\\b", "\\f", "\\n", "\\r", "\\t", "\\v"), strict=True)
)


@dataclass(frozen=True, slots=True)
class Style:
    """How a text is read. `raw`: quotes mean nothing; `keep_quotes`: they stay; `keep_unset`: so do unset variables."""

    escape: str = "\\"
    raw: bool = False
    keep_quotes: bool = False
    keep_unset: bool = False


@dataclass(slots=True)
class Expansion:
    """What a text becomes: as one word and split at blanks; the names of variables that were set, and not."""

    text: str = ""
    words: list[str] = field(default_factory=list)
    matched: set[str] = field(default_factory=set)
    unmatched: set[str] = field(default_factory=set)


class ExpansionFailed(InstructionWrong):
    """A text that cannot be read; `unmatched` are the variables before that place that were not set."""

    def __init__(self, text: str, reason: str, unmatched: set[str]) -> None:
        super().__init__(f"failed to process {go_quoted(text)}: {reason}")
        self.unmatched = unmatched


_NO_CHARACTER = "\ufffd"
_PLAIN = Style()


def expansion(text: str, env: Mapping[str, str], style: Style = _PLAIN) -> Expansion:
    """Return what a text becomes. Raises ExpansionFailed."""
    lexer = _Lexer(text, env, style)
    try:
        return lexer.run()
    except InstructionWrong as error:
        raise ExpansionFailed(text, str(error), lexer.unmatched) from error


def expand(text: str, env: Mapping[str, str], escape: str = "\\") -> str:
    """Return a word with its variables replaced and its quotes removed. Raises InstructionWrong."""
    return expansion(text, env, Style(escape)).text


def expand_words(text: str, env: Mapping[str, str], escape: str = "\\") -> list[str]:
    """Return the words that a text becomes: what variables bring is split at blanks, too. Raises InstructionWrong."""
    return expansion(text, env, Style(escape)).words


def go_quoted(text: str) -> str:
    """Return a text as Go's `%q` shows it."""
    return f'"{"".join(_ESCAPES.get(c) or (c if c.isprintable() else _by_number(ord(c))) for c in text)}"'


def _by_number(code: int) -> str:
    if code < 0x80:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:  # A byte that is no UTF-8.
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class _Lexer:
    """Goes through one text."""

    def __init__(self, text: str, env: Mapping[str, str], style: Style) -> None:
        self._text = text
        self._at = 0
        self._env = env
        self._style = style
        self._found = Expansion()
        self._word = ""
        self._in_word = False
        self._keep_escapes = False

    @property
    def unmatched(self) -> set[str]:
        """The variables that were not set."""
        return self._found.unmatched

    def run(self) -> Expansion:
        self._found.text = self._until("")
        self._end_word()
        return self._found

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _next(self) -> str:
        self._at += 1
        return self._text[self._at - 1 : self._at]

    def _end_word(self) -> None:
        if self._word:
            self._found.words.append(self._word)
        self._word, self._in_word = "", False

    def _add(self, text: str, *, split: bool = False) -> str:
        for character in text:
            if split and character.isspace():
                if self._in_word:
                    self._end_word()
            else:
                self._word += character
                self._in_word = True
        return text

    def _until(self, stop: str) -> str:
        """Read up to and including a character; the whole rest for an empty one."""
        result = ""
        while character := self._peek():
            if character == stop:
                self._next()
                return result
            result += self._piece(character)
        if stop:
            raise InstructionWrong(f"unexpected end of statement while looking for matching {stop}")
        return result

    def _piece(self, character: str) -> str:
        if character == "'" and not self._style.raw:
            return self._add(self._single_quoted())
        if character == '"' and not self._style.raw:
            return self._add(self._double_quoted())
        if character == "$":
            return self._add(self._dollar(), split=True)
        if character == self._style.escape:
            return self._escaped()
        return self._add(self._next(), split=True)

    def _escaped(self) -> str:
        token = self._next()
        kept = self._add(token) if self._keep_escapes else ""
        return kept + (self._add(self._next()) if self._peek() else "")

    def _single_quoted(self) -> str:
        quote = self._next()
        end = self._text.find("'", self._at)
        if end < 0:
            self._at = len(self._text)
            raise InstructionWrong("unexpected end of statement while looking for matching single-quote")
        content, self._at = self._text[self._at : end], end + 1
        self._in_word = True
        return f"{quote}{content}{quote}" if self._style.keep_quotes else content

    def _double_quoted(self) -> str:
        quote = self._next()
        self._in_word = True
        result = ""
        while (character := self._peek()) != '"':
            if not character:
                raise InstructionWrong("unexpected end of statement while looking for matching double-quote")
            if character == "$":
                result += self._dollar()
            elif character == self._style.escape:
                result += self._escaped_in_quotes()
            else:
                result += self._next()
        self._next()
        return f"{quote}{result}{quote}" if self._style.keep_quotes else result

    def _escaped_in_quotes(self) -> str:
        token = self._next()
        kept = token if self._keep_escapes else ""
        following = self._peek()
        if not following:
            return kept
        return kept + (self._next() if following in ('"', "$", token) else token)

    def _value(self, name: str) -> str | None:
        (self._found.matched if name in self._env else self._found.unmatched).add(name)
        return self._env.get(name)

    def _name(self) -> str:
        match = _NAME.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]

    def _dollar(self) -> str:
        self._next()
        if self._peek() == "{":
            self._next()
            return self._braced()
        name = self._name()
        if not name:
            return "$"
        value = self._value(name)
        if value is None:
            return f"${name}" if self._style.keep_unset else ""
        return value

    def _braced(self) -> str:
        if not self._peek():
            raise InstructionWrong("syntax error: missing '}'")
        if self._peek() in "{}:":
            raise InstructionWrong("syntax error: bad substitution")
        name, modifier = self._name(), self._next()
        if modifier == "}":
            value = self._value(name)
            if value is None:
                return f"${{{name}}}" if self._style.keep_unset else ""
            return value
        if modifier == "/":
            return self._replacement(name)
        nullable = modifier == ":"
        kind = self._next() if nullable else modifier
        if not nullable and (not modifier or modifier not in "+-?#%"):
            raise InstructionWrong(f"unsupported modifier ({modifier or _NO_CHARACTER}) in substitution")
        return self._modified(name, kind, nullable=nullable)

    def _argument(self, stop: str, missing: str, *, keep_escapes: bool) -> str:
        """Read a modifier's word, in which variables are replaced; it is part of no word of the result."""
        before = self._word, self._in_word, self._keep_escapes, self._found.words
        self._found.words, self._keep_escapes = [], keep_escapes
        try:
            return self._until(stop)
        except InstructionWrong as error:
            raise InstructionWrong(missing) if not self._peek() else error from None
        finally:
            self._word, self._in_word, self._keep_escapes, self._found.words = before

    def _replacement(self, name: str) -> str:
        every = self._peek() == "/"
        if every:
            self._next()
        pattern = self._argument("/", "syntax error: missing '/' in ${}", keep_escapes=True)
        replacement = self._argument("}", "syntax error: missing '}'", keep_escapes=True)
        value = self._value(name)
        if value is None and self._style.keep_unset:
            return f"${{{name}/{pattern}/{replacement}}}"
        return replaced(value or "", pattern, replacement, every=every)

    def _modified(self, name: str, kind: str, *, nullable: bool) -> str:
        word = self._argument("}", "syntax error: missing '}'", keep_escapes=kind in "#%")
        value = self._value(name)
        if value is None and self._style.keep_unset:
            return f"${{{name}{':' if nullable else ''}{kind}{word}}}"
        there = value is not None and not (nullable and not value)
        if kind == "-":
            return value or "" if there else word
        if kind == "+":
            return word if there else ""
        if kind == "?":
            if not there:
                lacking = "is not allowed to be unset" if value is None else "is not allowed to be empty"
                raise InstructionWrong(f"{name}: {word or lacking}")
            return value or ""
        if kind and kind in "#%" and not nullable:
            return trimmed(value or "", word, kind)
        raise InstructionWrong(f"unsupported modifier (:{kind}) in substitution")
