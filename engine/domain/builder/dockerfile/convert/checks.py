"""Rules that look at the whole file or at FROM, before anything is converted. Pure."""

from collections.abc import Mapping, Sequence

from engine.core import references
from engine.core.model.image import Platform
from engine.domain.builder.dockerfile.failures import InstructionWrong
from engine.domain.builder.dockerfile.instructions import Arg, Dockerfile, From, Instruction, Single, Stage
from engine.domain.builder.dockerfile.lint import Lint
from engine.domain.builder.dockerfile.parser import Source
from engine.domain.builder.dockerfile.shell import Expansion, expand
from engine.domain.builder.dockerfile.suggest import did_you_mean
from engine.domain.images.platforms import InvalidPlatform, format_platform, normalize, parse_platform

_RESERVED = frozenset({"context", "scratch"})


def _lines(instruction: Instruction) -> tuple[int, int]:
    return instruction.line, instruction.end


def check_source(source: Source, lint: Lint) -> None:
    """Check continuations."""
    for lines in source.blank_continuations:
        lint.report("NoEmptyContinuation", (lines[1], lines[1]))


def check_instruction(instruction: Instruction, lint: Lint) -> None:
    """Check what an instruction alone shows."""
    if isinstance(instruction, From):
        _check_from(instruction, lint)
    elif isinstance(instruction, Arg):
        _check_description(instruction, [name for name, _ in instruction.arguments], lint)
    elif isinstance(instruction, Single) and instruction.word == "MAINTAINER":
        lint.report("MaintainerDeprecated", _lines(instruction))


def check_file(file: Dockerfile, lint: Lint) -> None:
    """Check casing and the names of stages."""
    _check_names(file.stages, lint)
    _check_casing(file.stages, lint)


def _check_from(begin: From, lint: Lint) -> None:
    words = begin.code.split()
    if not begin.alias:
        return
    alias, word, keyword = words[-1], words[-2], words[0]
    if alias != alias.lower():
        lint.report("StageNameCasing", _lines(begin), alias)
    if keyword.isupper() != word.isupper() or keyword.islower() != word.islower():
        lint.report("FromAsCasing", _lines(begin), keyword, word)
    _check_description(begin, [begin.alias], lint)


def _check_description(instruction: Instruction, names: Sequence[str], lint: Lint) -> None:
    if not instruction.comments or instruction.comments[-1].split(" ")[0] in names:
        return
    example = names[0] if len(names) == 1 else "<arg_key>"
    lint.report("InvalidDefinitionDescription", _lines(instruction), instruction.keyword.upper(), example)


def _check_names(stages: Sequence[Stage], lint: Lint) -> None:
    seen: set[str] = set()
    for stage in stages:
        if not stage.name:
            continue
        if stage.name in _RESERVED:
            lint.report("ReservedStageName", _lines(stage.begin), stage.name)
        if stage.name in seen:
            lint.report("DuplicateStageName", _lines(stage.begin), stage.name)
        seen.add(stage.name)


def _check_casing(stages: Sequence[Stage], lint: Lint) -> None:
    all_of = [each for stage in stages for each in (stage.begin, *stage.instructions)]
    lower = sum(each.keyword.islower() for each in all_of)
    upper = sum(each.keyword.isupper() for each in all_of)
    for each in all_of:
        if lower > upper and not each.keyword.islower():
            lint.report("ConsistentInstructionCasing", _lines(each), each.keyword, "lowercase")
        elif lower <= upper and not each.keyword.isupper():
            lint.report("ConsistentInstructionCasing", _lines(each), each.keyword, "uppercase")


def check_defaults(file: Dockerfile, args: Mapping[str, str], lint: Lint) -> None:
    """Check that bases make sense where no build argument is given."""
    for stage in file.stages:
        try:
            name = expand(stage.begin.base, args, file.escape)
        except InstructionWrong:
            return
        try:
            references.parse(name)
        except references.InvalidReference:
            lint.report("InvalidDefaultArgInFrom", _lines(stage.begin), stage.begin.base)


def check_arguments(begin: From, found: Expansion, known: Sequence[str], lint: Lint) -> None:
    """Check that FROM uses arguments that are declared."""
    for name in sorted(found.unmatched - set(known)):
        lint.report("UndefinedArgInFrom", _lines(begin), name, did_you_mean(name, known, exact_case=True))


def check_platform(begin: From, found: Expansion, args: Mapping[str, str], lint: Lint) -> None:
    """Check the platform of FROM: neither the usual one nor a constant."""
    if found.matched == {"TARGETPLATFORM"} and not found.unmatched:
        if found.text == args.get("TARGETPLATFORM"):
            lint.report("RedundantTargetPlatform", _lines(begin), begin.platform)
        return
    if found.matched or found.unmatched:
        return
    try:
        platform = parse_platform(found.text)
    except InvalidPlatform:
        return
    if platform.os not in begin.alias and platform.architecture not in begin.alias:
        lint.report("FromPlatformFlagConstDisallowed", _lines(begin), found.text)


def check_base(name: str, wanted: Platform, found: Platform, lines: tuple[int, int], lint: Lint) -> None:
    """Check that a base image is for the platform that was asked for."""
    if (wanted.os, wanted.architecture) != (found.os, found.architecture):
        shown = (format_platform(normalize(wanted)), format_platform(normalize(found)))
        lint.report("InvalidBaseImagePlatform", lines, name, *shown)
