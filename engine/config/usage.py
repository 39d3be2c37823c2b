"""The text of --help, in the form of dockerd's."""

import textwrap

from engine.config.options import BY_FLAG, Option

_NAMES = 42
_WIDTH = 104


def usage() -> str:
    """Return the whole text."""
    lines = ["", "Usage:\twharfd [OPTIONS]", "", "A self-sufficient runtime for containers.", "", "Options:"]
    for flag in sorted(BY_FLAG):
        lines += _option(BY_FLAG[flag])
    return "\n".join(lines)


def _option(option: Option) -> list[str]:
    short = f"-{option.short}, " if option.short else "    "
    name = f"  {short}--{option.flag} {option.kind.placeholder}".rstrip()
    text = f"{option.help} (default {option.default})" if option.default else option.help
    wrapped = textwrap.wrap(text, _WIDTH - _NAMES - 4) or [""]
    first = f"{name:{_NAMES + 2}}  {wrapped[0]}"
    return [first, *(f"{'':{_NAMES + 4}}{line}" for line in wrapped[1:])]
