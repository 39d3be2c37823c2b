"""Platforms: parsing what users write, and choosing among what an image has.

The rules are those of containerd's `platforms` package: architectures have other names, a variant includes the older
ones, and an arm64 host runs 32-bit images too.
"""

import platform as host_platform
import re
from collections.abc import Iterable, Sequence

from engine.core.errors import InvalidParameter
from engine.core.model.image import Platform

_COMPONENT = re.compile(r"[A-Za-z0-9_.-]+")
_SYSTEMS = frozenset(
    [
        "aix",
        "android",
        "darwin",
        "dragonfly",
        "freebsd",
        "hurd",
        "illumos",
        "ios",
        "js",
        "linux",
        "nacl",
        "netbsd",
        "openbsd",
        "plan9",
        "solaris",
        "windows",
        "zos",
    ]
)
_ARCHITECTURES = frozenset(
    [
        "386",
        "amd64",
        "amd64p32",
        "arm",
        "armbe",
        "arm64",
        "arm64be",
        "loong64",
        "mips",
        "mipsle",
        "mips64",
        "mips64le",
        "mips64p32",
        "mips64p32le",
        "ppc",
        "ppc64",
        "ppc64le",
        "riscv",
        "riscv64",
        "s390",
        "s390x",
        "sparc",
        "sparc64",
        "wasm",
    ]
)
_OTHER_NAMES = {
    "i386": ("386", ""),
    "i686": ("386", ""),
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
}


class InvalidPlatform(InvalidParameter):
    """A platform that cannot be read."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f'"{text}": {reason}: invalid argument')


def host() -> Platform:
    """Return this machine's platform."""
    return _normal("linux", host_platform.machine(), "")


def parse_platform(text: str) -> Platform:
    """Return the platform of `os`, `arch`, `os/arch` or `os/arch/variant`. Raises InvalidPlatform."""
    parts = text.split("/")
    if len(parts) > 3:
        raise InvalidPlatform(text, "cannot parse platform specifier")
    if not all(_COMPONENT.fullmatch(p) for p in parts):
        bad = next(p for p in parts if not _COMPONENT.fullmatch(p))
        raise InvalidPlatform(bad, f'is an invalid component of "{text}": platform specifier component must match')
    if len(parts) > 1:
        return _normal(parts[0], parts[1], parts[2] if len(parts) == 3 else "")
    single = _normal("linux", parts[0], "")
    if parts[0].lower() in _SYSTEMS:
        return _normal(parts[0], host_platform.machine(), "")
    if single.architecture not in _ARCHITECTURES:
        raise InvalidPlatform(text, "unknown operating system or architecture")
    return single


def _normal(system: str, architecture: str, variant: str) -> Platform:
    architecture, variant = architecture.lower(), variant.lower()
    name, implied = _OTHER_NAMES.get(architecture, (architecture, ""))
    variant = variant or implied
    if name == "arm64" and variant in ("8", "v8"):
        variant = ""
    if name == "arm":
        variant = {"": "v7", "5": "v5", "6": "v6", "7": "v7", "8": "v8"}.get(variant, variant)
    if name == "amd64" and variant == "v1":
        variant = ""
    system = system.lower()
    return Platform(os={"macos": "darwin"}.get(system, system), architecture=name, variant=variant)


def normalize(platform: Platform) -> Platform:
    """Return the platform in the one form in which platforms can be compared; versions of the system do not count."""
    return _normal(platform.os, platform.architecture, platform.variant)


def format_platform(platform: Platform) -> str:
    """Return `os/arch[/variant]`."""
    parts = (platform.os or "unknown", platform.architecture, platform.variant)
    return "/".join(p for p in parts if p)


def candidates(wanted: Platform) -> list[Platform]:
    """Return what can stand in for a platform, the best first."""
    wanted = normalize(wanted)
    return [wanted, *(_normal(wanted.os, arch, variant) for arch, variant in _lesser(wanted))]


def _lesser(wanted: Platform) -> Iterable[tuple[str, str]]:
    number = int(wanted.variant[1:]) if re.fullmatch(r"v\d", wanted.variant) else 0
    if wanted.architecture == "amd64":
        yield from (("amd64", f"v{n}") for n in range(number - 1, 0, -1))
        yield "386", ""
    elif wanted.architecture == "arm64":
        yield from (("arm", v) for v in ("v8", "v7", "v6", "v5"))
    elif wanted.architecture == "arm":
        yield from (("arm", f"v{n}") for n in range(number - 1, 4, -1))


def best(wanted: Platform, offered: Sequence[Platform | None]) -> int:
    """Return the position of the best match among what an index offers, -1 for none."""
    normal = [normalize(p) if p is not None else None for p in offered]
    for candidate in candidates(wanted):
        if candidate in normal:
            return normal.index(candidate)
    return -1


def same(wanted: Platform, found: Platform) -> bool:
    """Tell whether an image is for exactly that platform; a variant that is not asked for does not matter."""
    one, other = normalize(wanted), normalize(found)
    if not wanted.variant and one.architecture != "arm":
        other = normalize(Platform(os=found.os, architecture=found.architecture))
    return one == other
