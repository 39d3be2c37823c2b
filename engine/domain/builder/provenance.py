"""Where an image comes from, in the words of SLSA's provenance v0.2 as BuildKit fills it in. Pure.

`mode=min` says what went in and how it was asked for, without build arguments; `mode=max` says all, the graph too.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from engine.core import references, times
from engine.core.model.image import Platform
from engine.domain.builder.llb import encode
from engine.domain.builder.llb.codec import digest_of, inputs_first
from engine.domain.builder.llb.ops import Edge, SourceOp, Vertex
from engine.domain.builder.protocol.messages import Message, pb
from engine.domain.images.platforms import host

PREDICATE = "https://slsa.dev/provenance/v0.2"
OPTION = "attest:provenance"
_BUILD_TYPE = "https://mobyproject.org/buildkit@v1"
_METADATA = "https://mobyproject.org/buildkit@v1#metadata"
_IMAGE, _LOCAL = "docker-image://", "local://"
# What says nothing of the result, or is said elsewhere.
_UNSAID = (
    "filename",
    "image-resolve-mode",
    "cgroup-parent",
    "cache-imports",
    "cache-from",
    "dockerfilekey",
    "contextkey",
)
_UNSAID_PREFIXES = ("attest:", "local-sessionid:", "input-metadata:", "frontend.")
_PRIVATE_PREFIXES = ("build-arg:", "label:")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asks to be said. `inline_only`: only within images, not beside archives of them."""

    full: bool = False
    inline_only: bool = False


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How a build was asked for, and when it ran (ns)."""

    ref: str
    frontend: str
    options: Mapping[str, str]
    started: int
    finished: int


def wanted(options: Mapping[str, str]) -> Wanted | None:
    """Return what the frontend's options ask for, None for nothing."""
    text = options.get(OPTION)
    if text is None:
        return None
    fields = dict(part.partition("=")[::2] for part in text.split(",") if part)
    if fields.get("disabled") == "true":
        return None
    return Wanted(fields.get("mode") == "max", fields.get("inline-only") == "true")


def predicate(edge: Edge | None, circumstances: Circumstances, *, full: bool) -> dict[str, Any]:
    """Return what is said of the tree of an edge."""
    vertices = list(inputs_first(edge.vertex)) if edge is not None else []
    options = circumstances.options
    arguments = _arguments(options, full=full)
    local = _locals(vertices, options)
    parameters: dict[str, Any] = {"frontend": circumstances.frontend}
    if arguments:
        parameters["args"] = arguments
    if local:
        parameters["locals"] = [{"name": name} for name in local]
    said: dict[str, Any] = {
        "builder": {"id": ""},
        "buildType": _BUILD_TYPE,
        "materials": _materials(vertices),
        "invocation": {
            "configSource": {"entryPoint": options.get("filename", "Dockerfile")},
            "parameters": parameters,
            "environment": {"platform": _shown(host())},
        },
    }
    if full and edge is not None:
        said["buildConfig"] = _graph(vertices, edge)
    said["metadata"] = {
        "buildInvocationID": circumstances.ref,
        "buildStartedOn": times.rfc3339(circumstances.started),
        "buildFinishedOn": times.rfc3339(circumstances.finished),
        "completeness": {
            "parameters": full or not any(name.startswith(_PRIVATE_PREFIXES) for name in options),
            "environment": True,
            "materials": not local,
        },
        "reproducible": False,
        _METADATA: {},
    }
    return said


def statement(
    said: Mapping[str, Any], names: Sequence[references.Reference], digest: str, of: Platform
) -> dict[str, Any]:
    """Return what is said, as a statement about the image of that digest."""
    subjects = [_package(name.familiar, of) for name in names] or ["_"]
    algorithm, _, value = digest.partition(":")
    return {
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": PREDICATE,
        "subject": [{"name": name, "digest": {algorithm: value}} for name in subjects],
        "predicate": said,
    }


def _arguments(options: Mapping[str, str], *, full: bool) -> dict[str, str]:
    unsaid = _UNSAID_PREFIXES if full else (*_UNSAID_PREFIXES, *_PRIVATE_PREFIXES)
    return {
        name: value for name, value in sorted(options.items()) if name not in _UNSAID and not name.startswith(unsaid)
    }


def _locals(vertices: Sequence[Vertex], options: Mapping[str, str]) -> list[str]:
    used = {
        vertex.operation.identifier.removeprefix(_LOCAL)
        for vertex in vertices
        if isinstance(vertex.operation, SourceOp) and vertex.operation.identifier.startswith(_LOCAL)
    }
    if "context" not in options:
        used |= {"context", "dockerfile"}
    return sorted(used)


def _materials(vertices: Sequence[Vertex]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for vertex in vertices:
        if isinstance(vertex.operation, SourceOp):
            for uri, digest in _material(vertex.operation, vertex.platform or host()):
                algorithm, _, value = digest.partition(":")
                found[uri] = {"uri": uri, "digest": {algorithm: value}}
    return [found[uri] for uri in sorted(found)]


def _material(source: SourceOp, platform: Platform) -> list[tuple[str, str]]:
    if source.identifier.startswith(_IMAGE):
        named, _, digest = source.identifier.removeprefix(_IMAGE).partition("@")
        return [(_package(references.parse(named).familiar, platform), digest)] if digest else []
    if source.identifier.startswith(("http://", "https://")) and (checksum := source.attrs.get("http.checksum")):
        return [(source.identifier, checksum)]
    if source.identifier.startswith("git://") and (commit := source.attrs.get("git.checksum")):
        return [(source.attrs.get("git.fullurl", source.identifier), f"sha1:{commit}")]
    return []


def _package(familiar: str, platform: Platform) -> str:
    """Return an image's package URL."""
    name, _, tag = familiar.rpartition(":") if ":" in familiar.rpartition("/")[2] else (familiar, "", "")
    version = f"@{quote(tag, safe='')}" if tag else ""
    return f"pkg:docker/{name}{version}?platform={quote(_shown(platform), safe='')}"


def _shown(platform: Platform) -> str:
    return "/".join(part for part in (platform.os, platform.architecture, platform.variant) if part)


def _graph(vertices: Sequence[Vertex], edge: Edge) -> dict[str, Any]:
    steps = {digest_of(vertex): f"step{number}" for number, vertex in enumerate(vertices)}
    said = [_step(vertex, steps) for vertex in vertices]
    last = [f"{steps[digest_of(edge.vertex)]}:{edge.output}"]
    said.append({"id": f"step{len(said)}", "op": {"Op": {}}, "inputs": last})
    return {"llbDefinition": said, "digestMapping": dict(sorted(steps.items()))}


def _step(vertex: Vertex, steps: Mapping[str, str]) -> dict[str, Any]:
    message = pb.Op.FromString(encode.op(vertex, [digest_of(each.vertex) for each in vertex.inputs]))
    kind = message.WhichOneof("op")
    operation: dict[str, Any] = {"Op": {kind: _plain(getattr(message, kind))}}
    if message.HasField("platform"):
        operation["platform"] = _plain(message.platform)
    said: dict[str, Any] = {"id": steps[digest_of(vertex)], "op": {**operation, "constraints": {}}}
    if vertex.inputs:
        said["inputs"] = [f"{steps[digest_of(each.vertex)]}:{each.output}" for each in vertex.inputs]
    return said


def _plain(message: Message) -> dict[str, Any]:
    """Return a message as Go's JSON has it: what is not set is left out, bytes in base64, choices by their name."""
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            shown: Any = dict(sorted(value.items()))
        elif field.is_repeated:
            shown = [_value(each) for each in value]
        else:
            shown = _value(value)
        if field.containing_oneof is not None and field.containing_oneof.name == "action":
            found["Action"] = {field.name: shown}
        else:
            found[field.name] = shown
    return found


def _value(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if isinstance(value, (str, int, bool)) else _plain(value)
