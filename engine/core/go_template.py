"""Go's text/template, as far as people use it in log tags: fields, functions, pipelines, if, with, range. Pure.

Not here: variables, nested templates, `break`. Source: the documentation of Go's `text/template`, and of the functions
that Docker adds ("Format command and log output"). Values are strings, numbers, truth values, lists and mappings; an
object with methods is a mapping whose values are callables without arguments.
"""

import html
import json
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_ACTION = re.compile(r"\{\{(- )?(.*?)( -)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s+|(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<number>[+-]?\d+(?:\.\d+)?)|(?P<field>\$?(?:\.\w+)+|\$|\.(?!\w))"""
    r"""|(?P<word>\w+)|(?P<mark>[()|])""",
    re.VERBOSE,
)
_CONTROLS = ("if", "with", "range")


class TemplateError(ValueError):
    """A template that cannot be read or applied; the text is Go's."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


@dataclass(slots=True)
class _Block:
    """Nodes, and what opened them: `control` is empty for the whole template."""

    control: str = ""
    condition: list[_Token] = field(default_factory=list)
    body: list[Any] = field(default_factory=list)
    otherwise: list[Any] | None = None
    chained: bool = False

    def add(self, node: Any) -> None:
        (self.body if self.otherwise is None else self.otherwise).append(node)


class Template:
    """A parsed template."""

    def __init__(self, name: str, text: str) -> None:
        """Raises TemplateError."""
        self._name = name
        self._root = self._parse(text)

    def render(self, data: Any, kind: str = "object") -> str:
        """Apply the template; `kind` is the name of the data's type, for errors. Raises TemplateError."""
        return "".join(self._nodes(self._root.body, data, _Scope(data, kind)))

    def _fail(self, problem: str) -> TemplateError:
        return TemplateError(f"template: {self._name}:1: {problem}")

    def _parse(self, text: str) -> _Block:
        stack = [_Block()]
        position = 0
        for match in _ACTION.finditer(text):
            before = text[position : match.start()]
            stack[-1].add(before.rstrip() if match[1] else before)
            position = match.end()
            if match[3]:
                position += len(text[position:]) - len(text[position:].lstrip())
            self._act(stack, match[2].strip())
        if "{{" in text[position:]:
            raise self._fail("unclosed action")
        if len(stack) > 1:
            raise self._fail("unexpected EOF")
        stack[0].add(text[position:])
        return stack[0]

    def _act(self, stack: list[_Block], action: str) -> None:
        if action.startswith("/*"):
            return
        tokens = self._tokens(action)
        if not tokens:
            raise self._fail("missing value for command")
        word = tokens[0].text if tokens[0].kind == "word" else ""
        if word in _CONTROLS:
            self._open(stack, word, tokens[1:])
        elif word == "else":
            self._alternative(stack, tokens[1:])
        elif word == "end":
            self._close(stack)
        else:
            self._require_known(tokens)
            stack[-1].add(tokens)

    def _open(self, stack: list[_Block], control: str, condition: list[_Token], *, chained: bool = False) -> None:
        if not condition:
            raise self._fail(f"missing value for {control}")
        self._require_known(condition)
        block = _Block(control, condition, chained=chained)
        stack[-1].add(block)
        stack.append(block)

    def _alternative(self, stack: list[_Block], rest: list[_Token]) -> None:
        if len(stack) == 1 or stack[-1].otherwise is not None:
            raise self._fail("unexpected {{else}}")
        stack[-1].otherwise = []
        if rest:
            self._open(stack, rest[0].text, rest[1:], chained=True)

    def _close(self, stack: list[_Block]) -> None:
        if len(stack) == 1:
            raise self._fail("unexpected {{end}}")
        while stack.pop().chained:
            continue

    def _tokens(self, action: str) -> list[_Token]:
        tokens: list[_Token] = []
        position = 0
        while position < len(action):
            match = _TOKEN.match(action, position)
            if match is None or match.end() == position:
                raise self._fail(f'unexpected "{action[position]}" in command')
            if match.lastgroup:
                tokens.append(_Token(match.lastgroup, match[0]))
            position = match.end()
        return tokens

    def _require_known(self, tokens: Sequence[_Token]) -> None:
        for token in tokens:
            if token.kind == "word" and token.text not in _FUNCTIONS and token.text not in _CONSTANTS:
                raise self._fail(f'function "{token.text}" not defined')

    def _nodes(self, nodes: Sequence[Any], dot: Any, scope: "_Scope") -> Iterator[str]:
        for node in nodes:
            if isinstance(node, str):
                yield node
            elif isinstance(node, _Block):
                yield from self._block(node, dot, scope)
            else:
                yield shown(self._evaluate(node, dot, scope))

    def _block(self, block: _Block, dot: Any, scope: "_Scope") -> Iterator[str]:
        value = self._evaluate(block.condition, dot, scope)
        if not value:
            yield from self._nodes(block.otherwise or [], dot, scope)
        elif block.control == "range":
            for item in [value[k] for k in sorted(value)] if isinstance(value, Mapping) else value:
                yield from self._nodes(block.body, item, scope)
        else:
            yield from self._nodes(block.body, value if block.control == "with" else dot, scope)

    def _evaluate(self, tokens: Sequence[_Token], dot: Any, scope: "_Scope") -> Any:
        try:
            return _Pipeline(list(tokens), dot, scope).value()
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise TemplateError(
                f'template: {self._name}:1:2: executing "{self._name}" at <{_written(tokens, error)}>: {error}'
            ) from error


def _written(tokens: Sequence[_Token], error: Exception) -> str:
    return error.at if isinstance(error, _UnknownField) else " ".join(token.text for token in tokens)


@dataclass(frozen=True, slots=True)
class _Scope:
    root: Any
    kind: str


class _UnknownField(ValueError):
    def __init__(self, at: str, name: str, kind: str) -> None:
        super().__init__(f"can't evaluate field {name} in type {kind}")
        self.at = at


class _Pipeline:
    """Evaluates commands joined by `|`: the value of each is the last argument of the next."""

    def __init__(self, tokens: list[_Token], dot: Any, scope: _Scope) -> None:
        self._tokens = tokens
        self._dot = dot
        self._scope = scope

    def value(self) -> Any:
        value = self._command([])
        while self._tokens and self._tokens[0].text == "|":
            self._tokens.pop(0)
            value = self._command([value])
        return value

    def _command(self, piped: list[Any]) -> Any:
        if not self._tokens:
            raise ValueError("missing value for command")
        first = self._tokens[0]
        if first.kind == "word" and first.text in _FUNCTIONS:
            self._tokens.pop(0)
            arguments = [*self._operands(), *piped]
            try:
                return _FUNCTIONS[first.text](*arguments)
            except (LookupError, TypeError, ValueError) as error:
                raise ValueError(f"error calling {first.text}: {error}") from error
        value, *more = self._operands()
        if more or piped:
            raise ValueError(f"can't give argument to non-function {first.text}")
        return value

    def _operands(self) -> list[Any]:
        values = []
        while self._tokens and self._tokens[0].text not in ("|", ")"):
            values.append(self._operand(self._tokens.pop(0)))
        return values

    def _operand(self, token: _Token) -> Any:
        if token.text == "(":
            value = self.value()
            if not self._tokens or self._tokens.pop(0).text != ")":
                raise ValueError("unclosed left paren")
            return value
        if token.kind == "string":
            return token.text[1:-1] if token.text[0] == "`" else json.loads(token.text)
        if token.kind == "number":
            return float(token.text) if "." in token.text else int(token.text)
        if token.kind == "word":
            return _CONSTANTS[token.text] if token.text in _CONSTANTS else _FUNCTIONS[token.text]()
        return self._field(token.text)

    def _field(self, path: str) -> Any:
        value = self._scope.root if path.startswith("$") else self._dot
        for name in filter(None, path.removeprefix("$").split(".")):
            whole = isinstance(value, Mapping)
            if not whole or (name not in value and value is self._scope.root):
                kind = self._scope.kind if value is self._scope.root else type(value).__name__
                raise _UnknownField(path, name, kind)
            value = value.get(name)
            value = value() if callable(value) else value
        return value


def shown(value: Any) -> str:
    """Return a value as Go prints it."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{k}:{shown(value[k])}" for k in sorted(value)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(map(shown, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(key, "")
        elif not 0 <= key < len(value):
            raise ValueError(f"index out of range: {key}")
        else:
            value = ord(value[key]) if isinstance(value, str) else value[key]
    return value


def _slice(value: Any, *bounds: int) -> Any:
    for bound in bounds:
        if not 0 <= bound <= len(value):
            raise ValueError(f"index out of range: {bound}")
    return value[slice(*bounds) if len(bounds) > 1 else slice(bounds[0], None)] if bounds else value


def _first(values: Sequence[Any], *, truth: bool) -> Any:
    return next((value for value in values if bool(value) is truth), values[-1])


def _printf(form: str, *values: Any) -> str:
    given = iter(values)

    def one(match: re.Match[str]) -> str:
        if match[2] == "%":
            return "%"
        value = next(given)
        if match[2] == "q":
            return f"%{match[1]}s" % json.dumps(value, ensure_ascii=False)
        return f"%{match[1]}{'s' if match[2] == 'v' else match[2]}" % (shown(value) if match[2] in "vs" else value)

    return re.sub(r"%([-+ #0]*\d*(?:\.\d+)?)([a-zA-Z%])", one, form)


_CONSTANTS = {"true": True, "false": False, "nil": None}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "and": lambda *values: _first(values, truth=False),
    "or": lambda *values: _first(values, truth=True),
    "not": lambda value: not value,
    "eq": lambda value, *others: value in others,
    "ne": lambda one, other: one != other,
    "lt": lambda one, other: one < other,
    "le": lambda one, other: one <= other,
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
    "len": len,
    "index": _index,
    "slice": _slice,
    "html": lambda *values: html.escape("".join(map(shown, values))),
    "urlquery": lambda *values: urllib.parse.quote_plus("".join(map(shown, values))),
    "print": lambda *values: "".join(map(shown, values)),
    "println": lambda *values: " ".join(map(shown, values)) + "\n",
    "printf": _printf,
    "json": lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
    "split": lambda text, separator: text.split(separator) if separator else list(text),
    "join": lambda values, separator: separator.join(values),
    "title": str.title,
    "lower": str.lower,
    "upper": str.upper,
    "pad": lambda text, before, after: " " * before + text + " " * after if text else text,
    "truncate": lambda text, size: text[:size],
}
