"""BuildKit's frontend options as settings of a conversion (its `dockerui/config.go` and `attr.go`). Pure."""

import csv
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from engine.core.model.image import Platform
from engine.domain.builder.dockerfile.convert.settings import Settings
from engine.domain.builder.dockerfile.failures import InstructionWrong
from engine.domain.builder.dockerfile.shell import go_quoted
from engine.domain.builder.llb.ops import NetMode
from engine.domain.images.platforms import InvalidPlatform, normalize, parse_platform

_NETWORKS = {"": NetMode.SANDBOX, "sandbox": NetMode.SANDBOX, "host": NetMode.HOST, "none": NetMode.NONE}
_TRUTHS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}
_CAPABILITIES = frozenset(
    {
        "moby.buildkit.frontend.inputs",
        "moby.buildkit.frontend.subrequests",
        "moby.buildkit.frontend.contexts",
        "moby.buildkit.frontend.gitquerystring",
    }
)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """All that is asked: what each platform's conversion is told, and the platforms, none for the builder's own."""

    settings: Settings
    platforms: Sequence[Platform]


def read_options(options: Mapping[str, str], build_platform: Platform) -> BuildOptions:
    """Return what the options say. Raises InstructionWrong."""
    _check_capabilities(options.get("frontend.caps", ""))
    platforms = _platforms(options.get("platform", ""))
    arguments = with_prefix(options, "build-arg:")
    settings = Settings(
        target=options.get("target", ""),
        build_args=arguments,
        labels=with_prefix(options, "label:"),
        build_platform=build_platform,
        multi_platform=_multi_platform(options, arguments, len(platforms) > 1),
        no_cache=_no_cache(options),
        network=_network(options.get("force-network-mode", "")),
        extra_hosts=_extra_hosts(options.get("add-hosts", "")),
        ulimits=_ulimits(options.get("ulimit", "")),
        shm_size=_shm_size(options.get("shm-size", "")),
        cgroup_parent=options.get("cgroup-parent", ""),
        hostname=arguments.get("BUILDKIT_SANDBOX_HOSTNAME", "") or options.get("hostname", ""),
        cache_namespace=arguments.get("BUILDKIT_CACHE_MOUNT_NS", ""),
        resolve_mode=_resolve_mode(options.get("image-resolve-mode", "")),
        epoch=_epoch(arguments.get("SOURCE_DATE_EPOCH", "")),
    )
    return BuildOptions(settings, platforms)


def per_platform(found: BuildOptions) -> list[Settings]:
    """Return the settings of each conversion."""
    return [replace(found.settings, target_platform=p) for p in found.platforms] or [found.settings]


def with_prefix(options: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Return the options that begin with a prefix, without it."""
    return {key.removeprefix(prefix): value for key, value in options.items() if key.startswith(prefix)}


def truth(text: str) -> bool | None:
    """Return what a text means as Go's ParseBool reads it, None for anything else."""
    return _TRUTHS.get(text)


def _check_capabilities(text: str) -> None:
    for name in filter(None, (each.strip() for each in text.split(","))):
        if name.partition("+")[0] not in _CAPABILITIES:
            raise InstructionWrong(f"unsupported frontend capability {name}")


def _platforms(text: str) -> list[Platform]:
    found = []
    for each in filter(None, text.split(",")):
        try:
            found.append(normalize(parse_platform(each)))
        except InvalidPlatform as error:
            raise InstructionWrong(f"failed to parse target platform {each}: {error}") from error
    return found


def _multi_platform(options: Mapping[str, str], arguments: Mapping[str, str], several: bool) -> bool:
    text = arguments.get("BUILDKIT_MULTI_PLATFORM") or options.get("multi-platform", "")
    if not text:
        return several
    wanted = truth(text)
    if wanted is None:
        raise InstructionWrong(f"invalid boolean value for multi-platform: {text}")
    if several and not wanted:
        raise InstructionWrong("conflicting config: returning multiple target platforms is not allowed")
    return wanted


def _no_cache(options: Mapping[str, str]) -> list[str] | None:
    if "no-cache" not in options:
        return None
    return options["no-cache"].split(",") if options["no-cache"] else []


def _network(text: str) -> NetMode:
    if text not in _NETWORKS:
        raise InstructionWrong(f"invalid netmode {text}")
    return _NETWORKS[text]


def _fields(text: str) -> list[str]:
    return next(csv.reader([text]), []) if text else []


def _extra_hosts(text: str) -> list[tuple[str, str]]:
    found = []
    for field in _fields(text):
        name, equals, address = field.lower().partition("=")
        if not equals:
            raise InstructionWrong(f"failed to parse additional hosts: invalid key-value pair {field}")
        try:
            found.append((name, str(ipaddress.ip_address(address))))
        except ValueError as error:
            raise InstructionWrong(f"failed to parse additional hosts: failed to parse IP {address}") from error
    return found


def _ulimits(text: str) -> list[tuple[str, int, int]]:
    found = []
    for field in _fields(text):
        name, equals, value = field.partition("=")
        soft, colon, hard = value.partition(":")
        try:
            limits = int(soft), int(hard) if colon else int(soft)
        except ValueError as error:
            raise InstructionWrong(f"failed to parse ulimit: invalid ulimit argument: {field}") from error
        if not equals:
            raise InstructionWrong(f"failed to parse ulimit: invalid ulimit argument: {field}")
        found.append((name, *limits))
    return found


def _shm_size(text: str) -> int:
    try:
        return int(text or 0)
    except ValueError as error:
        raise InstructionWrong(
            f"failed to parse shm size: strconv.ParseInt: parsing {go_quoted(text)}: invalid syntax"
        ) from error


def _resolve_mode(text: str) -> str:
    if text not in ("", "default", "pull", "local"):
        raise InstructionWrong(f"invalid image-resolve-mode: {text}")
    return text or "default"


def _epoch(text: str) -> int | None:
    try:
        return int(text) * 1_000_000_000 if text else None
    except ValueError as error:
        raise InstructionWrong(
            f"invalid SOURCE_DATE_EPOCH: {text}: strconv.ParseInt: parsing {go_quoted(text)}: invalid syntax"
        ) from error
