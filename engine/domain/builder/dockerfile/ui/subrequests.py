"""What a client can ask of a Dockerfile but to build it: its outline, its targets, its violations of rules. Pure.

Each answer is there as JSON, as BuildKit's `frontend/subrequests` writes it, and as a text for people.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from engine.domain.builder.dockerfile.convert.outline import Argument, Summary, Wanted, comment_on
from engine.domain.builder.dockerfile.convert.settings import SourceFile
from engine.domain.builder.dockerfile.failures import Lines
from engine.domain.builder.dockerfile.instructions import Dockerfile
from engine.domain.builder.dockerfile.lint import Violation, ordered

OUTLINE, TARGETS, LINT = "frontend.outline", "frontend.targets", "frontend.lint"
DESCRIBE = "frontend.subrequests.describe"
_VERSION = b"1.0.0"
_RESULTS = [{"name": name, "description": ""} for name in ("result.json", "result.txt")]
_KNOWN: Sequence[tuple[str, str, Any]] = (
    (
        OUTLINE,
        "List all parameters current build target supports",
        [{"name": "target", "description": "Target build stage"}],
    ),
    (TARGETS, "List all targets current build supports", []),
    (DESCRIBE, "List available subrequest types", None),
)
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}

Metadata = Mapping[str, bytes]


def _answer(value: Any, text: str) -> dict[str, bytes]:
    shown = json.dumps(value, indent=2, ensure_ascii=False)
    shown = "".join(_ESCAPED.get(character, character) for character in shown)
    return {"result.json": shown.encode(), "result.txt": text.encode(), "version": _VERSION}


def describe() -> Metadata:
    """Return what can be asked for."""
    found = [
        {
            "name": name,
            "version": _VERSION.decode(),
            "type": "rpc",
            "description": description,
            "opts": options,
            "inputs": None,
            "metadata": _RESULTS,
            "refs": None,
        }
        for name, description, options in _KNOWN
    ]
    rows = [(name.removeprefix("frontend."), _VERSION.decode(), description) for name, description, _ in _KNOWN]
    return _answer(found, _table([("NAME", "VERSION", "DESCRIPTION"), *rows], gap=1))


def targets(file: Dockerfile, source: SourceFile) -> Metadata:
    """Return the stages, the last of which is built by default."""
    found, rows = [], [("TARGET", "DESCRIPTION")]
    for stage in file.stages:
        begin, default = stage.begin, stage is file.stages[-1]
        description = comment_on(stage.name, begin.comments)
        entry = {
            "name": stage.name,
            "default": default,
            "description": description,
            "base": begin.base,
            "platform": begin.platform,
        }
        found.append({**_present(entry), "location": _location((begin.line, begin.end))})
        rows.append((f"{stage.name} (default)".lstrip() if default else stage.name, description))
    return _answer({"targets": found, "sources": [_encoded(source)]}, _table(rows, gap=1))


def outline(summary: Summary, source: SourceFile) -> Metadata:
    """Return what a target can be given."""
    found = {
        "name": summary.name,
        "description": summary.description,
        "args": [_argument(each) for each in summary.arguments],
        "secrets": [_wanted(each) for each in summary.secrets],
        "ssh": [_wanted(each) for each in summary.agents],
        "sources": [_encoded(source)],
    }
    return _answer(_present(found), _outline_text(summary))


def _outline_text(summary: Summary) -> str:
    tables = []
    if summary.name or summary.description:
        rows = [("TARGET:", summary.name or "(default)")]
        rows += [("DESCRIPTION:", summary.description)] if summary.description else []
        tables.append(_table(rows, gap=1))
    if summary.arguments:
        values = [(each.name, each.value or "", each.description) for each in summary.arguments]
        tables.append(_table([("BUILD ARG", "VALUE", "DESCRIPTION"), *values]))
    for title, wanted in (("SECRET", summary.secrets), ("SSH", summary.agents)):
        if wanted:
            asked = [(each.name, "true" if each.required else "") for each in wanted]
            tables.append(_table([(title, "REQUIRED"), *asked]))
    return "".join(f"{table}\n" for table in tables)


def lint(violations: Sequence[Violation], source: SourceFile, failure: str = "", lines: Lines = (0, 0)) -> Metadata:
    """Return the violations of rules, and why the Dockerfile cannot be built, where it cannot."""
    info = {"filename": source.filename, "data": _encoded(source), "definition": {}, "language": "Dockerfile"}
    found: dict[str, Any] = {
        "warnings": [_violation(each) for each in violations] or None,
        "sources": [info if source.data else {k: v for k, v in info.items() if k != "data"}],
    }
    if failure:
        found["buildError"] = {"message": failure, "location": _location(lines)}
    text = "".join(_violation_text(each, source) for each in ordered(violations))
    status = b"1" if violations or failure else b"0"
    return {**_answer(found, text), "result.statuscode": status}


def _violation(violation: Violation) -> dict[str, Any]:
    rule = violation.rule
    return {
        "ruleName": rule.name,
        **_present({"description": rule.description, "url": rule.url, "detail": violation.message}),
        "location": _location(violation.lines),
    }


def _violation_text(violation: Violation, source: SourceFile) -> str:
    page = f" - {violation.rule.url}" if violation.rule.url else ""
    return f"\nWARNING: {violation.rule.name}{page}\n{violation.message}\n{_excerpt(violation.lines, source)}"


def _excerpt(marked: Lines, source: SourceFile) -> str:
    """Return lines of the Dockerfile with some around them."""
    lines = source.data.decode("utf-8", "replace").split("\n")
    start, end = marked[0], min(marked[1], len(lines))
    if not 1 <= start <= len(lines):
        return ""
    missing = 4 if start == end else 2
    while missing > 0:
        if start > 1:
            start, missing = start - 1, missing - 1
        if end < len(lines):
            end, missing = end + 1, missing - 1
        missing -= 1
    shown = [
        f" {number:3d} | {'>>>' if marked[0] <= number <= marked[1] else '   '} {lines[number - 1]}\n"
        for number in range(start, end + 1)
    ]
    rule = "--------------------\n"
    return f"{source.filename}:{marked[0]}\n{rule}{''.join(shown)}{rule}"


def _argument(argument: Argument) -> dict[str, Any]:
    found = {"description": argument.description, "value": argument.value}
    return {"name": argument.name, **_present(found), "location": _location(argument.lines)}


def _wanted(wanted: Wanted) -> dict[str, Any]:
    return {"name": wanted.name, **_present({"required": wanted.required}), "location": _location(wanted.lines)}


def _location(lines: Lines) -> dict[str, Any]:
    """Return each line on its own."""
    first, last = lines
    return {"ranges": [{"start": {"line": n}, "end": {"line": n}} for n in range(first, last + 1)]} if first else {}


def _present(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is not empty."""
    return {key: value for key, value in found.items() if value}


def _encoded(source: SourceFile) -> str:
    return base64.b64encode(source.data).decode()


def _table(rows: Sequence[Sequence[str]], gap: int = 3) -> str:
    widths = [max(map(len, column)) + gap for column in zip(*rows, strict=True)][:-1]
    return "".join(
        "".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)) + "\n" for row in rows
    )
