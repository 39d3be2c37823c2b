"""Lines of a Dockerfile to typed instructions, with the errors of BuildKit's `frontend/dockerfile/instructions`."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from engine.core import times
from engine.core.model.container import Healthcheck
from engine.domain.builder.dockerfile.failures import InstructionWrong, ParseFailed
from engine.domain.builder.dockerfile.instructions import (
    Arg,
    Command,
    Copy,
    Dockerfile,
    Env,
    From,
    Health,
    Instruction,
    Label,
    Run,
    Single,
    Stage,
    Words,
)
from engine.domain.builder.dockerfile.parser import Line, Source, parse
from engine.domain.builder.dockerfile.words import json_form, pairs, raw_words

_ALIAS = re.compile(r"[a-z][a-z0-9-_.]*")
_FLAGS: Mapping[str, frozenset[str]] = {
    "from": frozenset({"platform"}),
    "copy": frozenset({"from", "chown", "chmod", "link", "parents", "exclude"}),
    "add": frozenset({"chown", "chmod", "link", "keep-git-dir", "checksum", "exclude", "unpack"}),
    "run": frozenset({"mount", "network", "security", "device"}),
    "healthcheck": frozenset({"interval", "timeout", "start-period", "start-interval", "retries"}),
}
_REPEATABLE = frozenset({"mount", "exclude", "device"})
_BOOLEAN = frozenset({"link", "parents", "keep-git-dir", "unpack"})
_BARE_HEREDOC = re.compile(r"<<-?\s*['\"]?[a-zA-Z_.][a-zA-Z0-9_.-]*['\"]?")

Flags = Mapping[str, Sequence[str]]
Reader = Callable[[Line, Flags, str], Instruction]


def read(text: str) -> Dockerfile:
    """Return the stages of a Dockerfile. Raises ParseFailed, NothingToBuild."""
    source = parse(text)
    dockerfile = Dockerfile([], [], source.escape)
    for line in source.lines:
        try:
            _place(dockerfile, read_line(line, source))
        except InstructionWrong as error:
            raise ParseFailed(line.start, str(error)) from error
    if not dockerfile.stages:
        raise ParseFailed(source.lines[-1].end, "no build stage in current context")
    return dockerfile


def _place(dockerfile: Dockerfile, instruction: Instruction) -> None:
    if isinstance(instruction, From):
        dockerfile.stages.append(Stage(instruction))
    elif dockerfile.stages:
        dockerfile.stages[-1].instructions.append(instruction)
    elif isinstance(instruction, Arg):
        dockerfile.globals.append(instruction)
    else:
        raise InstructionWrong("no build stage in current context")


def read_trigger(text: str) -> Instruction:
    """Return the instruction that an ONBUILD of a base image left. Raises ParseFailed."""
    source = parse(text)
    try:
        return read_line(source.lines[0], source)
    except InstructionWrong as error:
        raise ParseFailed(1, str(error)) from error


def read_line(line: Line, source: Source) -> Instruction:
    """Return one instruction. Raises InstructionWrong."""
    reader = _READERS.get(line.word)
    if reader is None:
        raise InstructionWrong(f"unknown instruction: {line.word.upper()}{_suggestion(line.word)}")
    flags = _read_flags(line)
    return reader(line, flags, source.escape)


def _suggestion(word: str) -> str:
    close = [known for known in _READERS if _distance(word, known) <= 2]
    best = min(close, key=lambda known: _distance(word, known), default="")
    return f" (did you mean {best.upper()}?)" if best else ""


def _distance(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def _read_flags(line: Line) -> dict[str, list[str]]:
    allowed, found = _FLAGS.get(line.word, frozenset()), dict[str, list[str]]()
    for flag in line.flags:
        name, equals, value = flag[2:].partition("=")
        if name not in allowed:
            raise InstructionWrong(f"unknown flag: --{name}")
        if name in found and name not in _REPEATABLE:
            raise InstructionWrong(f"duplicate flag specified: {name}")
        if not equals and name not in _BOOLEAN:
            raise InstructionWrong(f"missing a value on flag: {name}")
        found.setdefault(name, []).append(value)
    return found


def _one(flags: Flags, name: str) -> str:
    return flags[name][0] if name in flags else ""


def _of(line: Line) -> dict[str, Any]:
    return {"code": line.original, "line": line.start}


def _require(line: Line) -> str:
    if not line.rest:
        raise InstructionWrong(f"{line.word.upper()} requires at least one argument")
    return line.rest


def _from(line: Line, flags: Flags, _escape: str) -> Instruction:
    words = line.rest.split()
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].lower() != "as"):
        raise InstructionWrong("FROM requires either one or three arguments")
    alias = words[2].lower() if len(words) == 3 else ""
    if alias and not _ALIAS.fullmatch(alias):
        raise InstructionWrong(
            f'invalid name for build stage: "{words[2]}", name can\'t start with a number or contain symbols'
        )
    return From(base=words[0], alias=alias, platform=_one(flags, "platform"), **_of(line))


def _arg(line: Line, _flags: Flags, escape: str) -> Instruction:
    arguments: list[tuple[str, str | None]] = []
    for word in raw_words(_require(line), escape):
        name, equals, value = word.partition("=")
        if not name:
            raise InstructionWrong("ARG names can not be blank")
        arguments.append((name, value if equals else None))
    return Arg(arguments=arguments, **_of(line))


def _env(line: Line, _flags: Flags, escape: str) -> Instruction:
    return Env(pairs=pairs("ENV", _require(line), escape), **_of(line))


def _label(line: Line, _flags: Flags, escape: str) -> Instruction:
    return Label(pairs=pairs("LABEL", _require(line), escape), **_of(line))


def _copy(line: Line, flags: Flags, escape: str) -> Instruction:
    words = json_form(line.rest)
    words = raw_words(line.rest, escape) if words is None else words
    word = line.word.upper()
    if not words:
        raise InstructionWrong(f"{word} requires at least two arguments")
    if len(words) < 2:
        raise InstructionWrong(
            f"{word} requires at least two arguments, but only one was provided. Destination could not be determined"
        )
    return Copy(
        word=word,
        sources=[w for w in words[:-1] if not (line.heredocs and _BARE_HEREDOC.fullmatch(w))],
        dest=words[-1],
        source_stage=_one(flags, "from"),
        chown=_one(flags, "chown"),
        chmod=_one(flags, "chmod"),
        checksum=_one(flags, "checksum"),
        heredocs=line.heredocs,
        **_of(line),
    )


def _run(line: Line, flags: Flags, _escape: str) -> Instruction:
    words = json_form(line.rest)
    if not line.rest or words == []:
        raise InstructionWrong("RUN requires at least one argument")
    extra = {"network": _one(flags, "network"), "mounts": flags.get("mount", ()), **_of(line)}
    if words is not None:
        return Run(words=words, **extra)
    return Run(line_for_shell=_script(line), **extra)


def _script(line: Line) -> str:
    """The shell reads heredocs itself; a heredoc alone is the script."""
    if len(line.heredocs) == 1 and _BARE_HEREDOC.fullmatch(line.rest):
        document = line.heredocs[0]
        return re.sub(r"(?m)^\t+", "", document.content) if document.chomp else document.content
    if not line.heredocs:
        return line.rest
    return line.rest + "\n" + "".join(f"{d.content}{d.name}\n" for d in line.heredocs)


def _command(line: Line, _flags: Flags, _escape: str) -> Instruction:
    words = json_form(line.rest)
    if line.word == "entrypoint" and not line.rest:
        raise InstructionWrong("ENTRYPOINT requires at least one argument")
    if words is not None:
        return Command(word=line.word.upper(), words=words, **_of(line))
    return Command(word=line.word.upper(), line_for_shell=line.rest, **_of(line))


def _words(line: Line, _flags: Flags, escape: str) -> Instruction:
    word = line.word.upper()
    words = json_form(line.rest)
    if word == "SHELL":
        if words is None:
            raise InstructionWrong("SHELL requires the arguments to be in JSON form")
    elif words is None:
        words = raw_words(line.rest, escape)
    if not words:
        raise InstructionWrong(f"{word} requires at least one argument")
    if word == "VOLUME" and not all(w.strip() for w in words):
        raise InstructionWrong("VOLUME specified can not be an empty string")
    return Words(word=word, words=words, **_of(line))


def _single(line: Line, _flags: Flags, _escape: str) -> Instruction:
    word = line.word.upper()
    if not line.rest:
        raise InstructionWrong(f"{word} requires exactly one argument")
    return Single(word=word, value=line.rest, **_of(line))


def _onbuild(line: Line, _flags: Flags, _escape: str) -> Instruction:
    rest = line.original.split(None, 1)[1] if line.rest or line.flags else ""
    if not rest:
        raise InstructionWrong("ONBUILD requires at least one argument")
    word = rest.split()[0].upper()
    if word == "ONBUILD":
        raise InstructionWrong("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if word in ("FROM", "MAINTAINER"):
        raise InstructionWrong(f"{word} isn't allowed as an ONBUILD trigger")
    return Single(word="ONBUILD", value=rest, **_of(line))


def _health(line: Line, flags: Flags, _escape: str) -> Instruction:
    if not line.rest:
        raise InstructionWrong("HEALTHCHECK requires at least one argument")
    kind, _, rest = line.rest.partition(" ")
    if kind.upper() == "NONE":
        if rest.strip():
            raise InstructionWrong("HEALTHCHECK NONE takes no arguments")
        return Health(check=Healthcheck(test=["NONE"]), **_of(line))
    if kind.upper() != "CMD":
        raise InstructionWrong(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
    if not rest.strip():
        raise InstructionWrong("Missing command after HEALTHCHECK CMD")
    words = json_form(rest.strip())
    test = ["CMD-SHELL", rest.strip()] if words is None else ["CMD", *words]
    return Health(check=Healthcheck(test=test, **_health_options(flags)), **_of(line))


def _health_options(flags: Flags) -> dict[str, int]:
    options: dict[str, int] = {}
    for name in ("interval", "timeout", "start-period", "start-interval"):
        if name in flags:
            options[name.replace("-", "_")] = _duration(_one(flags, name), name)
    if "retries" in flags:
        text = _one(flags, "retries")
        if not text.isdecimal():
            raise InstructionWrong(f'strconv.ParseInt: parsing "{text}": invalid syntax')
        options["retries"] = int(text)
    return options


def _duration(text: str, name: str) -> int:
    try:
        value = times.parse_duration(text)
    except ValueError as error:
        raise InstructionWrong(f'time: invalid duration "{text}"') from error
    if value and value < 1_000_000:
        raise InstructionWrong(f'Interval "{name}" cannot be less than 1ms')
    return value


_READERS: dict[str, Reader] = {
    "add": _copy,
    "arg": _arg,
    "cmd": _command,
    "copy": _copy,
    "entrypoint": _command,
    "env": _env,
    "expose": _words,
    "from": _from,
    "healthcheck": _health,
    "label": _label,
    "maintainer": _single,
    "onbuild": _onbuild,
    "run": _run,
    "shell": _words,
    "stopsignal": _single,
    "user": _single,
    "volume": _words,
    "workdir": _single,
}
