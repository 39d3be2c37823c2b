"""Build arguments before the first stage, and those that every Dockerfile has: the platforms. Pure."""

from collections.abc import Mapping, Sequence

from engine.core.model.image import Platform
from engine.domain.builder.dockerfile.convert.outline import Argument, Outline, comment_on
from engine.domain.builder.dockerfile.convert.settings import Settings
from engine.domain.builder.dockerfile.failures import InstructionWrong, ParseFailed
from engine.domain.builder.dockerfile.instructions import Arg
from engine.domain.builder.dockerfile.shell import Style, expansion
from engine.domain.images.platforms import format_platform


def predefined(settings: Settings) -> dict[str, str]:
    """Return the platform arguments; the client may set them otherwise."""
    found = {
        **_of_platform("BUILD", settings.build_platform),
        **_of_platform("TARGET", settings.platform),
        "TARGETSTAGE": settings.target or "default",
    }
    return {name: settings.build_args.get(name, value) for name, value in found.items()}


def _of_platform(prefix: str, platform: Platform) -> dict[str, str]:
    return {
        f"{prefix}PLATFORM": format_platform(platform),
        f"{prefix}OS": platform.os,
        f"{prefix}OSVERSION": platform.os_version,
        f"{prefix}ARCH": platform.architecture,
        f"{prefix}VARIANT": platform.variant,
    }


def with_globals(
    known: Mapping[str, str],
    arguments: Sequence[Arg],
    build_args: Mapping[str, str],
    escape: str,
    outline: Outline | None = None,
) -> dict[str, str]:
    """Return the arguments with those that the file declares before its first stage. Raises ParseFailed."""
    found = dict(known)
    for instruction in arguments:
        lines = (instruction.line, instruction.end)
        for name, default in instruction.arguments:
            value, needs = build_args.get(name, default), frozenset[str]()
            if value is not None and name not in build_args:
                try:
                    expanded = expansion(value, found, Style(escape))
                except InstructionWrong as error:
                    raise ParseFailed(str(error), lines) from error
                value, needs = expanded.text, frozenset(expanded.matched)
            if value is not None:
                found[name] = value
            if outline is not None:
                comment = comment_on(name, instruction.comments)
                outline.arguments[name] = Argument(name, value, comment, lines, needs)
    return found
