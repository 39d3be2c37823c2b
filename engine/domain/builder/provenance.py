"""Where a result comes from, in the words of SLSA's provenance v0.2 as BuildKit fills it in. Pure.

`mode=min` says what went in and how it was asked for, without build arguments; `mode=max` says all, the graph too.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from engine.core import digest as digests
from engine.core import references, times
from engine.core.model.image import Platform
from engine.domain.builder import provenance_source
from engine.domain.builder.llb import encode
from engine.domain.builder.llb.codec import digest_of, inputs_first
from engine.domain.builder.llb.ops import Edge, ExecOp, MountType, SourceOp, Vertex
from engine.domain.builder.protocol.messages import Message, pb
from engine.domain.builder.result import Attestation
from engine.domain.images.platforms import host

PREDICATE = "https://slsa.dev/provenance/v0.2"
PREDICATE_V1 = "https://slsa.dev/provenance/v1"
OPTION = "attest:provenance"
_BUILD_TYPE = "https://mobyproject.org/buildkit@v1"
_BUILD_TYPE_V1 = "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md"
_METADATA = "https://mobyproject.org/buildkit@v1#metadata"
_IMAGE, _LOCAL = "docker-image://", "local://"
_ALWAYS = {"FileAction": ("input", "secondaryInput", "output")}
_PRIVATE = {MountType.SECRET: "secrets", MountType.SSH: "ssh"}
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
    """What a client asks to be said. `inline_only`: only within images, not beside files. `v1`: SLSA's later words."""

    full: bool = False
    inline_only: bool = False
    v1: bool = False


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
    return Wanted(fields.get("mode") == "max", fields.get("inline-only") == "true", fields.get("version") == "v1")


def predicate(edge: Edge | None, circumstances: Circumstances, *, full: bool) -> dict[str, Any]:
    """Return what is said of the tree of an edge."""
    vertices = list(inputs_first(edge.vertex)) if edge is not None else []
    options = circumstances.options
    arguments = _arguments(options, full=full)
    local = _locals(vertices, options)
    parameters: dict[str, Any] = {"frontend": circumstances.frontend}
    if arguments:
        parameters["args"] = arguments
    if full:
        parameters |= _private_mounts(vertices)
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
        _METADATA: {"source": provenance_source.places(vertices)} if full and vertices else {},
    }
    return said


def attestation(edge: Edge | None, circumstances: Circumstances, wanted: Wanted) -> Attestation:
    """Return what a client wants to be said of the tree of an edge."""
    said = predicate(edge, circumstances, full=wanted.full)
    return Attestation(PREDICATE_V1, _in_words_of_v1(said)) if wanted.v1 else Attestation(PREDICATE, said)


def _in_words_of_v1(said: Mapping[str, Any]) -> dict[str, Any]:
    asked, metadata = said["invocation"], said["metadata"]
    graph = {"buildConfig": said["buildConfig"]} if "buildConfig" in said else {}
    return {
        "buildDefinition": {
            "buildType": _BUILD_TYPE_V1,
            "resolvedDependencies": said["materials"],
            "externalParameters": {
                "configSource": {"path": asked["configSource"]["entryPoint"]},
                "request": asked["parameters"],
            },
            "internalParameters": {**graph, "builderPlatform": asked["environment"]["platform"]},
        },
        "runDetails": {
            "builder": said["builder"],
            "metadata": {
                "invocationId": metadata["buildInvocationID"],
                "startedOn": metadata["buildStartedOn"],
                "finishedOn": metadata["buildFinishedOn"],
                "buildkit_metadata": metadata[_METADATA],
                "buildkit_completeness": {
                    "request": metadata["completeness"]["parameters"],
                    "resolvedDependencies": metadata["completeness"]["materials"],
                },
            },
        },
    }


def image_subjects(names: Sequence[references.Reference], digest: str, of: Platform) -> list[tuple[str, str]]:
    """Return how an image of that digest is named in statements about it."""
    return [(name, digest) for name in [_package(each.familiar, of) for each in names] or ["_"]]


def statement(said: Attestation, subjects: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return what is said, as a statement about things of these names and digests."""
    found = [(name, *digest.split(":", 1)) for name, digest in subjects]
    return {
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": said.predicate_type,
        "subject": [{"name": name, "digest": {algorithm: value}} for name, algorithm, value in found],
        "predicate": said.predicate,
    }


def _private_mounts(vertices: Sequence[Vertex]) -> dict[str, list[dict[str, Any]]]:
    """Return the secrets and the agents that commands were given."""
    found: dict[str, dict[str, dict[str, Any]]] = {"secrets": {}, "ssh": {}}
    for vertex in vertices:
        if isinstance(vertex.operation, ExecOp):
            used = [(_PRIVATE[m.kind], m.protected) for m in vertex.operation.mounts if m.kind in _PRIVATE]
            for kind, each in used:
                found[kind] |= {} if each is None else {each.id: _named(each.id or "default", optional=each.optional)}
            for variable in vertex.operation.secret_env:
                found["secrets"][variable.id] = _named(variable.id, optional=variable.optional)
    return {name: [entries[each] for each in sorted(entries)] for name, entries in found.items() if entries}


def _named(name: str, *, optional: bool) -> dict[str, Any]:
    return {"id": name, **({"optional": True} if optional else {})}


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
    end = pb.Op(inputs=[pb.Input(digest=digest_of(edge.vertex), index=edge.output)])
    named = {**steps, digests.of(encode.serialize(end)): said[-1]["id"]}
    return {"llbDefinition": said, "digestMapping": dict(sorted(named.items()))}


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
    found: dict[str, Any] = {name: getattr(message, name) for name in _ALWAYS.get(message.DESCRIPTOR.name, ())}
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
