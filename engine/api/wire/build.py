"""The parameters of `POST /build`, and the lines that it answers with."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from engine.api.wire import auth, query
from engine.api.wire.buildkit_progress import encode_progress
from engine.api.wire.codec import InvalidJSON, TrailingContent, lookup, parse
from engine.api.wire.image_progress import encode_line
from engine.core import references
from engine.core.errors import Internal, InvalidParameter
from engine.core.model.container import HostConfig, Ulimit
from engine.core.references import InvalidReference, Reference
from engine.domain.builder.classic.failures import SquashUnsupported
from engine.domain.builder.classic.options import BuildOptions
from engine.domain.builder.classic.output import ImageId, Line
from engine.domain.builder.progress import ProgressEvent
from engine.domain.images.platforms import parse_platform
from engine.drivers.registry.credentials import Credentials

_ISOLATIONS = ("", "default", "process", "hyperv")
_VERSIONS = ("", "1", "2")


class UnusableTag(Internal):
    """A name for the image that is none; Docker answers 500 here."""


class Unreadable(InvalidParameter):
    """A parameter that is not the JSON of what it should be."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"error reading {what}: {reason}")


def decode_build(request: web.BaseRequest) -> BuildOptions:
    """Return what a request asks for. Raises InvalidParameter, Internal with dockerd's texts."""
    version = query.text(request, "version")
    if version not in _VERSIONS:
        raise InvalidParameter(f'invalid version "{version}"')
    if query.boolean(request, "squash"):
        raise SquashUnsupported
    platform = query.text(request, "platform")
    force_remove = query.boolean(request, "forcerm")
    return BuildOptions(
        dockerfile=query.text(request, "dockerfile") or "Dockerfile",
        remote=query.text(request, "remote"),
        tags=_tags(request),
        target=query.text(request, "target"),
        platform=parse_platform(platform) if platform else None,
        build_args=_object(request, "buildargs", "build args", optional=True),
        labels=_object(request, "labels", "labels"),
        cache_from=_cache_from(request),
        no_cache=query.boolean(request, "nocache"),
        pull=query.boolean(request, "pull"),
        quiet=query.boolean(request, "q"),
        remove=force_remove or query.boolean(request, "rm", default=True),
        force_remove=force_remove,
        host_config=_host_config(request),
        credentials=_credentials(request),
        solved=version == "2",
        session=query.text(request, "session"),
        build_id=query.text(request, "buildid"),
    )


def _tags(request: web.BaseRequest) -> list[Reference]:
    found: list[Reference] = []
    for text in query.texts(request, "t"):
        if not text:
            continue
        try:
            name = references.parse(text).with_default_tag()
        except InvalidReference as error:
            raise UnusableTag(str(error)) from error
        if name.digest:
            raise UnusableTag("refusing to create a tag with a digest reference")
        if name not in found:
            found.append(name)
    return found


def _json(request: web.BaseRequest, name: str, what: str, kind: type) -> Any:
    text = query.text(request, name)
    if not text:
        return None
    try:
        found = parse(text.encode())
    except (InvalidJSON, TrailingContent) as error:
        raise Unreadable(what, str(error).removeprefix("invalid JSON: ")) from error
    if found is not None and not isinstance(found, kind):
        raise Unreadable(what, "json: cannot unmarshal value")
    return found


def _object(request: web.BaseRequest, name: str, what: str, *, optional: bool = False) -> dict[str, Any]:
    found = _json(request, name, what, dict) or {}
    for value in found.values():
        if not isinstance(value, str) and not (optional and value is None):
            raise Unreadable(what, "json: cannot unmarshal value into Go value of type string")
    return dict(found)


def _cache_from(request: web.BaseRequest) -> list[str] | None:
    found = _json(request, "cachefrom", "cache-from", list)
    return [str(each) for each in found] if found else None


def _number(request: web.BaseRequest, name: str) -> int:
    """Return a number; what is none counts as 0."""
    try:
        return query.integer(request, name) or 0
    except query.NotANumber:
        return 0


def _host_config(request: web.BaseRequest) -> HostConfig:
    if query.texts(request, "securityopt"):
        raise InvalidParameter("security options are not supported on linux")
    isolation = query.text(request, "isolation").lower()
    if isolation not in _ISOLATIONS:
        raise InvalidParameter(f'unsupported isolation: "{query.text(request, "isolation")}"')
    return HostConfig(
        network_mode=query.text(request, "networkmode"),
        extra_hosts=query.texts(request, "extrahosts"),
        shm_size=_shm_size(request),
        memory=_number(request, "memory"),
        memory_swap=_number(request, "memswap"),
        cpu_shares=_number(request, "cpushares"),
        cpu_period=_number(request, "cpuperiod"),
        cpu_quota=_number(request, "cpuquota"),
        cpuset_cpus=query.text(request, "cpusetcpus"),
        cpuset_mems=query.text(request, "cpusetmems"),
        cgroup_parent=query.text(request, "cgroupparent"),
        ulimits=_ulimits(request),
    )


def _shm_size(request: web.BaseRequest) -> int:
    try:
        return query.integer(request, "shmsize") or 0
    except query.NotANumber as error:
        raise query.NotANumber("ParseInt", query.text(request, "shmsize")) from error


def _ulimits(request: web.BaseRequest) -> list[Ulimit]:
    found = _json(request, "ulimits", "ulimit settings", list) or []
    limits = []
    for each in found:
        name = lookup(each, "Name") if isinstance(each, dict) else None
        if not isinstance(name, str):
            raise Unreadable("ulimit settings", "json: cannot unmarshal value into Go value of type units.Ulimit")
        soft, hard = (lookup(each, key) for key in ("Soft", "Hard"))
        limits.append(Ulimit(name=name, soft=int(soft or 0), hard=int(hard or 0)))
    return limits


def _credentials(request: web.BaseRequest) -> Mapping[str, Credentials]:
    """Return what the header says: base64url of a JSON object by registry. What is unreadable is nothing."""
    text = request.headers.get("X-Registry-Config", "").strip().translate(str.maketrans("+/", "-_")).rstrip("=")
    try:
        value = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) if text else {}
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return {}
    if not isinstance(value, dict):
        return {}
    return {host: auth.read(each) for host, each in value.items() if isinstance(each, dict)}


def encode_build_line(line: Line) -> dict[str, Any]:
    """Return a line's JSON."""
    if isinstance(line, ImageId):
        return {"aux": {"ID": line.id}}
    return encode_line(line)


def encode_trace(events: Iterable[ProgressEvent]) -> dict[str, Any]:
    """Return BuildKit's progress as a line."""
    status = encode_progress(events).SerializeToString()
    return {"id": "moby.buildkit.trace", "aux": base64.b64encode(status).decode()}


def encode_image_id(image_id: str, *, quiet: bool) -> dict[str, Any]:
    """Return the last line of a build by BuildKit's rules."""
    if quiet:
        return {"stream": f"{image_id}\n"}
    return {"id": "moby.image.id", "aux": {"ID": image_id}}
