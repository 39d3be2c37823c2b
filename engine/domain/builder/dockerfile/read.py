"""Lines of a Dockerfile to typed instructions, with the errors of BuildKit's `frontend/dockerfile/instructions`.

What cannot be read at all (Unreadable) is told as it is; what makes no sense (InstructionWrong) gets the line's
number.
"""

import re
from collections.abc import Callable
from typing import Any

from engine.core import times
from engine.core.model.container import Healthcheck
from engine.domain.builder.dockerfile.failures import InstructionWrong, ParseFailed, Unreadable, on_line
from engine.domain.builder.dockerfile.flags import Flags, read_flags
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
from engine.domain.builder.dockerfile.mounts import check_from
from engine.domain.builder.dockerfile.parser import Heredoc, Line, Source, parse
from engine.domain.builder.dockerfile.suggest import did_you_mean
from engine.domain.builder.dockerfile.words import json_form, pairs, raw_words, split_at_blanks

_ALIAS = re.compile(r"[a-z][a-z0-9-_.]*")
_BARE_HEREDOC = re.compile(r"\d*<<-?\s*['\"]?([^<'\"]+)['\"]?")
_MILLISECOND = 1_000_000

Reader = Callable[[Line, Flags, str], Instruction]


def read(
    text: str,
    on_source: Callable[[Source], None] = lambda _source: None,
    on_instruction: Callable[[Instruction], None] = lambda _instruction: None,
) -> Dockerfile:
    """Return the stages of a Dockerfile. Raises ParseFailed, NothingToBuild.

    What is understood before something is not is told as it comes.
    """
    source = parse(text)
    on_source(source)
    dockerfile = Dockerfile([], [], source.escape, source.directives, source.blank_continuations)
    shapes = [_shaped(line, source) for line in source.lines]
    for line, make in zip(source.lines, shapes, strict=True):
        instruction = make()
        on_instruction(instruction)
        _place(dockerfile, instruction, line)
    if not dockerfile.stages:
        raise ParseFailed("dockerfile contains no stages to build")
    return dockerfile


def _place(dockerfile: Dockerfile, instruction: Instruction, line: Line) -> None:
    if isinstance(instruction, From):
        dockerfile.stages.append(Stage(instruction))
    elif dockerfile.stages:
        dockerfile.stages[-1].instructions.append(instruction)
    elif isinstance(instruction, Arg):
        dockerfile.globals.append(instruction)
    else:
        raise ParseFailed("no build stage in current context", (line.start, line.end))


def read_trigger(text: str, lines: tuple[int, int]) -> Instruction:
    """Return the instruction that an ONBUILD of a base image left; lines are those of the FROM. Raises ParseFailed."""
    source = parse(text)
    if len(source.lines) != 1:
        raise ParseFailed("onbuild trigger should be a single expression", lines)
    line = source.lines[0]
    try:
        return read_line(Line(line.word, line.flags, line.rest, line.original, *lines, line.heredocs), source)
    except InstructionWrong as error:
        raise ParseFailed(str(error), lines) from error


def _shaped(line: Line, source: Source) -> Callable[[], Instruction]:
    """Read a line's words at once, which fails before anything of the file is understood; judge them when called."""
    try:
        made = read_line(line, source)
    except InstructionWrong as error:
        failure = on_line(str(error), (line.start, line.end))

        def fail() -> Instruction:
            raise failure

        return fail
    except Unreadable as error:
        raise Unreadable(str(error), (line.start, line.end)) from error
    return lambda: made


def read_line(line: Line, source: Source) -> Instruction:
    """Return one instruction. Raises InstructionWrong, ParseFailed."""
    reader = _READERS.get(line.word.lower())
    if reader is None:
        raise InstructionWrong(f"unknown instruction: {line.word}{did_you_mean(line.word, list(_READERS))}")
    return reader(line, read_flags(line), source.escape)


def _of(line: Line) -> dict[str, Any]:
    return {"code": line.original, "line": line.start, "end": line.end, "comments": tuple(line.comments)}


def _require(line: Line) -> str:
    if not line.rest:
        raise InstructionWrong(f"{line.word.upper()} requires at least one argument")
    return line.rest


def _from(line: Line, flags: Flags, _escape: str) -> Instruction:
    words = split_at_blanks(line.rest)
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].lower() != "as"):
        raise InstructionWrong("FROM requires either one or three arguments")
    alias = words[2].lower() if len(words) == 3 else ""
    if alias and not _ALIAS.fullmatch(alias):
        raise InstructionWrong(
            f'invalid name for build stage: "{words[2]}", name can\'t start with a number or contain symbols'
        )
    return From(base=words[0], alias=alias, platform=flags.text("platform"), **_of(line))


def _arg(line: Line, _flags: Flags, escape: str) -> Instruction:
    arguments: list[tuple[str, str | None]] = []
    for word in raw_words(_require(line), escape):
        name, equals, value = word.partition("=")
        if not name:
            raise InstructionWrong("ARG names can not be blank")
        arguments.append((name, value if equals else None))
    return Arg(arguments=arguments, **_of(line))


def _pairs(line: Line, escape: str) -> dict[str, Any]:
    word = line.word.upper()
    found, legacy = pairs(word, line.rest, escape)
    _require(line)
    if not all(key for key, _ in found):
        raise InstructionWrong(f"{word} names can not be blank")
    return {"pairs": found, "legacy": legacy, **_of(line)}


def _env(line: Line, _flags: Flags, escape: str) -> Instruction:
    return Env(**_pairs(line, escape))


def _label(line: Line, _flags: Flags, escape: str) -> Instruction:
    return Label(**_pairs(line, escape))


def _copy(line: Line, flags: Flags, _escape: str) -> Instruction:
    words = json_form(line.rest)
    words = split_at_blanks(line.rest) if words is None else words
    word = line.word.upper()
    if len(words) < 2:
        raise InstructionWrong(
            f"{word} requires at least two arguments, but only one was provided. Destination could not be determined"
        )
    documents = {document.name: document for document in line.heredocs}
    if _heredoc_of(words[-1], documents):
        raise InstructionWrong(f"{word} cannot accept a heredoc as a destination")
    return Copy(
        word=word,
        sources=[w for w in words[:-1] if _heredoc_of(w, documents) is None],
        documents=[d for w in words[:-1] if (d := _heredoc_of(w, documents))],
        dest=words[-1],
        source_stage=flags.text("from"),
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        checksum=flags.text("checksum"),
        link=flags.truth("link") or False,
        parents=flags.truth("parents") or False,
        exclude=flags.texts("exclude"),
        keep_git_dir=flags.truth("keep-git-dir"),
        unpack=flags.truth("unpack"),
        **_of(line),
    )


def _heredoc_of(word: str, documents: dict[str, Heredoc]) -> Heredoc | None:
    match = _BARE_HEREDOC.fullmatch(word)
    return documents.get(match[1]) if match else None


def _run(line: Line, flags: Flags, _escape: str) -> Instruction:
    words = json_form(line.rest)
    network = flags.text("network")
    if network not in ("", "default", "none", "host"):
        raise InstructionWrong(f'invalid network mode "{network}"')
    security = flags.text("security")
    if security not in ("", "sandbox", "insecure"):
        raise InstructionWrong(f'security "{security}" is not valid')
    for mount in flags.texts("mount"):
        check_from(mount)
    return Run(
        words=[line.rest] if words is None and line.rest else words or [],
        shell=words is None,
        documents=line.heredocs,
        mounts=flags.texts("mount"),
        network=network,
        security=security,
        devices=flags.texts("device"),
        **_of(line),
    )


def _command(line: Line, _flags: Flags, _escape: str) -> Instruction:
    words = json_form(line.rest)
    shown = [line.rest] if words is None and line.rest else words or []
    return Command(word=line.word.upper(), words=shown, shell=words is None, **_of(line))


def _words(line: Line, _flags: Flags, _escape: str) -> Instruction:
    word = line.word.upper()
    words = None if word == "EXPOSE" else json_form(line.rest)
    if word == "SHELL":
        if words is None:
            raise InstructionWrong("SHELL requires the arguments to be in JSON form")
    elif words is None:
        words = split_at_blanks(line.rest)
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
    rest = re.sub(r"(?i)^\s*ONBUILD\s*", "", line.original)
    if not rest:
        raise InstructionWrong("ONBUILD requires at least one argument")
    word = rest.split()[0].upper()
    if word == "ONBUILD":
        raise InstructionWrong("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if word in ("FROM", "MAINTAINER"):
        raise InstructionWrong(f"{word} isn't allowed as an ONBUILD trigger")
    for document in line.heredocs:
        rest += f"\n{document.content}{document.name}"
    return Single(word="ONBUILD", value=rest, **_of(line))


def _health(line: Line, flags: Flags, _escape: str) -> Instruction:
    if not line.rest:
        raise InstructionWrong("HEALTHCHECK requires at least one argument")
    kind, *more = re.split(r"\s+", line.rest, maxsplit=1)
    rest = more[0] if more else ""
    words = json_form(rest)
    if kind.upper() == "NONE":
        if rest:
            raise InstructionWrong("HEALTHCHECK NONE takes no arguments")
        return Health(check=Healthcheck(test=["NONE"]), **_of(line))
    if kind.upper() != "CMD":
        raise InstructionWrong(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
    if not rest or words == []:
        raise InstructionWrong("Missing command after HEALTHCHECK CMD")
    test = ["CMD-SHELL", rest] if words is None else ["CMD", *words]
    return Health(check=Healthcheck(test=test, **_health_options(flags)), **_of(line))


def _health_options(flags: Flags) -> dict[str, int]:
    options: dict[str, int] = {}
    for name in ("interval", "timeout", "start-period", "start-interval"):
        if text := flags.text(name):
            options[name.replace("-", "_")] = _duration(text, name)
    if text := flags.text("retries"):
        if not re.fullmatch(r"[+-]?\d+", text):
            raise InstructionWrong(f'strconv.ParseInt: parsing "{text}": invalid syntax')
        options["retries"] = int(text)
        if options["retries"] < 0:
            raise InstructionWrong(f"--retries cannot be negative ({options['retries']})")
    return options


def _duration(text: str, name: str) -> int:
    try:
        value = 0 if text == "0" else times.parse_duration(text)
    except ValueError as error:
        raise InstructionWrong(f'time: invalid duration "{text}"') from error
    if value and value < _MILLISECOND:
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
