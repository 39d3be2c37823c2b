"""The system calls that a container may make. Pure.

Profiles are in Docker's format: rules with conditions on capabilities, architecture and kernel. `seccomp.json` is ours:
its contents were read from dockerd 28.5's OCI bundles, capability by capability; on top of it sockets of AF_ALG are
denied like those of AF_VSOCK. `socketcall` (32-bit) stays allowed, as its arguments cannot be looked at.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from engine.core.errors import Internal, InvalidParameter

_DEFAULT = Path(__file__).with_name("seccomp.json")
_MACHINES = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "i686": ("x86", "SCMP_ARCH_X86"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
    "armv7l": ("arm", "SCMP_ARCH_ARM"),
    "ppc64le": ("ppc64le", "SCMP_ARCH_PPC64LE"),
    "s390x": ("s390x", "SCMP_ARCH_S390X"),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64"),
    "loongarch64": ("loong64", "SCMP_ARCH_LOONGARCH64"),
}


class UndecodableProfile(Internal):
    """Not JSON, or not a profile."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Decoding seccomp profile failed: {reason}")


class AmbiguousProfile(InvalidParameter):
    """Two ways of saying the same thing."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(
            f"both '{one}' and '{other}' are specified in the seccomp profile, use either '{one}' or '{other}'"
        )


class _Conditions(msgspec.Struct, rename="camel", frozen=True):
    caps: list[str] | None = None
    arches: list[str] | None = None
    min_kernel: str | None = None


class _Argument(msgspec.Struct, rename="camel", frozen=True):
    index: int = 0
    value: int = 0
    value_two: int = 0
    op: str = ""


class _Rule(msgspec.Struct, rename="camel", frozen=True):
    name: str | None = None
    names: list[str] | None = None
    action: str = ""
    errno_ret: int | None = None
    args: list[_Argument] | None = None
    includes: _Conditions | None = None
    excludes: _Conditions | None = None


class _Architecture(msgspec.Struct, rename="camel", frozen=True):
    architecture: str
    sub_architectures: list[str] | None = None


class _Profile(msgspec.Struct, rename="camel", frozen=True):
    default_action: str = ""
    default_errno_ret: int | None = None
    architectures: list[str] | None = None
    arch_map: list[_Architecture] | None = None
    flags: list[str] | None = None
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: list[_Rule] | None = None


@functools.cache
def default_profile() -> _Profile:
    """Return the built-in profile; read once."""
    return msgspec.json.decode(_DEFAULT.read_bytes(), type=_Profile)


@functools.lru_cache(maxsize=64)
def default_filter(capabilities: tuple[str, ...], machine: str, kernel: tuple[int, int]) -> Mapping[str, Any] | None:
    """Return `linux.seccomp` of the built-in profile for a set of capabilities. Not to be modified."""
    return _resolve(default_profile(), frozenset(capabilities), machine, kernel)


def custom_filter(
    profile: str, capabilities: Iterable[str], machine: str, kernel: tuple[int, int]
) -> Mapping[str, Any] | None:
    """Return `linux.seccomp` of a profile in JSON. Raises UndecodableProfile, AmbiguousProfile."""
    try:
        decoded = msgspec.json.decode(profile, type=_Profile)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise UndecodableProfile(str(error)) from error
    if decoded.architectures and decoded.arch_map:
        raise AmbiguousProfile("architectures", "archMap")
    return _resolve(decoded, frozenset(capabilities), machine, kernel)


def _resolve(
    profile: _Profile, capabilities: frozenset[str], machine: str, kernel: tuple[int, int]
) -> dict[str, Any] | None:
    if not profile.default_action:
        return None
    docker_arch, native = _MACHINES.get(machine, (machine, ""))
    result: dict[str, Any] = {"defaultAction": profile.default_action}
    if profile.default_errno_ret is not None:
        result["defaultErrnoRet"] = profile.default_errno_ret
    if architectures := _architectures(profile, native):
        result["architectures"] = architectures
    for key, value in (("flags", profile.flags), ("listenerPath", profile.listener_path)):
        if value:
            result[key] = value
    if profile.listener_metadata:
        result["listenerMetadata"] = profile.listener_metadata
    rules = [_rule(r) for r in profile.syscalls or () if _applies(r, capabilities, docker_arch, kernel)]
    if rules:
        result["syscalls"] = rules
    return result


def _architectures(profile: _Profile, native: str) -> Sequence[str]:
    if profile.architectures:
        return profile.architectures
    for entry in profile.arch_map or ():
        if entry.architecture == native:
            return [native, *(entry.sub_architectures or ())]
    return []


def _applies(rule: _Rule, capabilities: frozenset[str], arch: str, kernel: tuple[int, int]) -> bool:
    includes, excludes = rule.includes or _Conditions(), rule.excludes or _Conditions()
    if excludes.arches and arch in excludes.arches:
        return False
    if excludes.caps and any(c in capabilities for c in excludes.caps):
        return False
    if excludes.min_kernel and kernel >= _version(excludes.min_kernel):
        return False
    if includes.arches and arch not in includes.arches:
        return False
    if includes.caps and not all(c in capabilities for c in includes.caps):
        return False
    return not (includes.min_kernel and kernel < _version(includes.min_kernel))


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    try:
        return int(major), int(minor or 0)
    except ValueError as error:
        raise UndecodableProfile(f"invalid kernel version: {text}") from error


def _rule(rule: _Rule) -> dict[str, Any]:
    if rule.name and rule.names:
        raise AmbiguousProfile("name", "names")
    result: dict[str, Any] = {"names": rule.names or [rule.name or ""], "action": rule.action}
    if rule.errno_ret is not None:
        result["errnoRet"] = rule.errno_ret
    if rule.args:
        result["args"] = [_argument(a) for a in rule.args]
    return result


def _argument(argument: _Argument) -> dict[str, Any]:
    result = {"index": argument.index, "value": argument.value, "op": argument.op}
    return result | ({"valueTwo": argument.value_two} if argument.value_two else {})
