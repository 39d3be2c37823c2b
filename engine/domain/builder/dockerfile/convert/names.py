"""The names of vertices, as people read them: `[build 2/5] RUN make`. Pure."""

import math
from collections.abc import Mapping

from engine.core.model.image import Platform
from engine.domain.builder.dockerfile.failures import InstructionWrong
from engine.domain.builder.dockerfile.shell import Style, expansion
from engine.domain.images.platforms import InvalidPlatform, format_platform, normalize, parse_platform


def shown(code: str, env: Mapping[str, str], style: Style) -> str:
    """Return an instruction with its variables replaced and its word in upper case."""
    try:
        text = expansion(code, env, style).text
    except InstructionWrong:
        text = code
    word, blank, rest = text.partition(" ")
    return word.upper() + blank + rest


def numbered(stage: str, number: int, total: int, platform: str = "") -> str:
    """Return what stands before a step: platform, stage, its number, padded as wide as the last one's."""
    width = int(1 + math.log10(total))
    words = [word for word in (platform, stage, f"{number:{width}d}/{total}") if word]
    return f"[{' '.join(words)}] "


def platforms_of(platform: Platform, env: Mapping[str, str]) -> str:
    """Return a platform, with what it builds for where the environment says another one."""
    return format_platform(platform) + _target(platform, env)


def _target(platform: Platform, env: Mapping[str, str]) -> str:
    target = _from_env(env)
    if target is None:
        return ""
    system, architecture = target.os or platform.os, target.architecture or platform.architecture
    target = normalize(Platform(os=system, architecture=architecture, variant=target.variant))
    if target.os != platform.os:
        return f"->{format_platform(target)}"
    if target.architecture != platform.architecture:
        return "->" + "/".join(part for part in (target.architecture, target.variant) if part)
    return ""


def _from_env(env: Mapping[str, str]) -> Platform | None:
    if "TARGETPLATFORM" in env:
        try:
            return parse_platform(env["TARGETPLATFORM"])
        except InvalidPlatform:
            pass
    if not env.keys() & {"TARGETOS", "TARGETARCH", "TARGETVARIANT"}:
        return None
    return Platform(
        os=env.get("TARGETOS", ""), architecture=env.get("TARGETARCH", ""), variant=env.get("TARGETVARIANT", "")
    )


def summary(document: str) -> str:
    """Return a heredoc's first line, with dots where there are more."""
    first, *more = document.strip().replace("\r\n", "\n").split("\n")
    return first + ("..." if more else "")
