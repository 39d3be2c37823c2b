"""A Dockerfile's text to its lines of instruction: directives, continuations, comments, heredocs, flags.

Follows BuildKit's `frontend/dockerfile/parser`. What an instruction means is not decided here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.domain.builder.dockerfile.failures import NothingToBuild, Unreadable

_DIRECTIVE = re.compile(r"#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*")
_DIRECTIVES = frozenset({"escape", "syntax", "check"})
_HEREDOC = re.compile(r"(?<![<\\])(\d*)<<(-?)\s*(['\"]?)([a-zA-Z_.][a-zA-Z0-9_.-]*)\3(?!<)")
_WITH_HEREDOCS = frozenset({"run", "copy", "add"})


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A document within the Dockerfile. `expand`: variables in it are replaced; `chomp`: leading tabs are not part."""

    name: str
    content: str
    expand: bool = True
    chomp: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One instruction as it is written: its word, its flags, the rest; where it begins and ends."""

    word: str
    flags: Sequence[str]
    rest: str
    original: str
    start: int
    end: int
    heredocs: Sequence[Heredoc] = ()
    comments: Sequence[str] = ()


@dataclass(slots=True)
class Source:
    """A whole Dockerfile."""

    escape: str = "\\"
    directives: dict[str, str] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    blank_continuations: list[tuple[int, int]] = field(default_factory=list)


def parse(text: str) -> Source:
    """Return a Dockerfile's instructions. Raises Unreadable, NothingToBuild."""
    return _Parser(text).run()


def directives_of(text: str) -> dict[str, str]:
    """Return the directives at the top of a file: `# syntax=…`, `# escape=…`, `# check=…`; the first of each counts."""
    found: dict[str, str] = {}
    for line in text.removeprefix("\ufeff").split("\n"):
        match = _DIRECTIVE.fullmatch(line.strip())
        if match is None or match[1].lower() not in _DIRECTIVES:
            break
        found.setdefault(match[1].lower(), match[2])
    return found


class _Parser:
    """Goes through the lines once."""

    def __init__(self, text: str) -> None:
        self._lines = text.removeprefix("\ufeff").split("\n")
        if self._lines and not self._lines[-1]:
            self._lines.pop()
        self._at = 0
        self._source = Source()
        self._comments: list[str] = []
        self._directive_lines = 0

    def run(self) -> Source:
        self._read_directives()
        self._continues = re.compile(rf"([^{self._escape}]|^){self._escape}[ \t]*$")
        while self._at < len(self._lines):
            self._instruction()
        if not self._source.lines:
            raise NothingToBuild
        return self._source

    @property
    def _escape(self) -> str:
        return re.escape(self._source.escape)

    def _read_directives(self) -> None:
        for number, line in enumerate(self._lines):
            match = _DIRECTIVE.fullmatch(line.strip())
            if match is None or match[1].lower() not in _DIRECTIVES:
                return
            self._directive_lines = number + 1
            name = match[1].lower()
            if name in self._source.directives:
                raise Unreadable(f"only one {name} parser directive can be used", (number, number))
            self._source.directives[name] = match[2]
            if name == "escape":
                self._set_escape(number, match[2])

    def _set_escape(self, number: int, value: str) -> None:
        if value not in ("`", "\\"):
            raise Unreadable(f"invalid escape token '{value}' does not match ` or \\", (number, number))
        self._source.escape = value

    def _next(self) -> str:
        self._at += 1
        return self._lines[self._at - 1].removesuffix("\r")

    def _instruction(self) -> None:
        start, line = self._at + 1, self._next().lstrip()
        if line.startswith("#"):
            self._comment(line[1:].strip())
            return
        if not line:
            return
        self._add(self._joined(line, start), start)
        self._comments = []

    def _comment(self, text: str) -> None:
        self._comments = [*self._comments, text] if text and self._at > self._directive_lines else []

    def _joined(self, line: str, start: int) -> str:
        """Return an instruction's lines as one, without what continues them, comments and blank lines."""
        joined, ended = self._without_continuation(line)
        blank = False
        while not ended and self._at < len(self._lines):
            following = self._next()
            if following.lstrip().startswith("#"):
                continue
            if not following.strip():
                blank = True
                continue
            piece, ended = self._without_continuation(following)
            joined += piece
        if blank:
            self._source.blank_continuations.append((start, self._at))
        return joined

    def _without_continuation(self, line: str) -> tuple[str, bool]:
        shortened, count = self._continues.subn(r"\1", line)
        return shortened, not count

    def _add(self, text: str, start: int) -> None:
        text = text.strip()
        word, rest = _split(text)
        flags, rest = split_flags(rest, self._source.escape)
        heredocs = self._heredocs(word.lower(), rest, start)
        self._source.lines.append(Line(word, flags, rest, text, start, self._at, heredocs, self._comments))

    def _heredocs(self, word: str, rest: str, start: int) -> list[Heredoc]:
        name, text = word, rest
        if name == "onbuild":
            name, _, text = rest.partition(" ")
        if name.lower() not in _WITH_HEREDOCS or "<<" not in text or text.lstrip().startswith("["):
            return []
        return [self._document(match, start) for match in _HEREDOC.finditer(_without_quotes(text))]

    def _document(self, match: "re.Match[str]", start: int) -> Heredoc:
        chomp, quote, name = bool(match[2]), match[3], match[4]
        content: list[str] = []
        while self._at < len(self._lines):
            line = self._next()
            if (line.lstrip("\t") if chomp else line) == name:
                return Heredoc(name, "".join(content), not quote, chomp)
            content.append(self._lines[self._at - 1] + "\n")
        raise Unreadable("unterminated heredoc", (start, self._at))


def _split(text: str) -> tuple[str, str]:
    word, _, rest = re.sub(r"[\t\v\f\r ]+", " ", text, count=1).partition(" ")
    return word, rest.strip()


def _without_quotes(text: str) -> str:
    """Blank out what is quoted, but for a heredoc's own quotes: `<<` in it begins no document."""
    return re.sub(r"(?<!<)(?<!<-)(\"(?:\\.|[^\"\\])*\"|'[^']*')", lambda m: " " * len(m[0]), text)


def split_flags(text: str, escape: str) -> tuple[list[str], str]:
    """Return the leading `--…` words of an instruction, and the rest."""
    flags: list[str] = []
    while text.startswith("--"):
        word, text = _first_word(text, escape)
        if word == "--":
            return flags, text
        flags.append(word)
    return flags, text


def _first_word(text: str, escape: str) -> tuple[str, str]:
    """Return the first word, quotes and escapes resolved, and what follows it."""
    word, quote, at = "", "", 0
    while at < len(text):
        character = text[at]
        if character == escape and at + 1 < len(text):
            at += 1
            word += text[at]
        elif quote:
            quote = "" if character == quote else quote
            word += "" if not quote else character
        elif character in "'\"":
            quote = character
        elif character.isspace():
            break
        else:
            word += character
        at += 1
    return word, text[at:].strip()
