"""The frontend on a solver that is not there: what is read, what comes out, what is warned of."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from engine.core.errors import NotFound
from engine.core.model.image import Platform
from engine.domain.builder.dockerfile.convert.settings import BaseImage
from engine.domain.builder.frontend import DockerfileFrontend, SourceFailed, UnsupportedRequest
from engine.domain.builder.llb.ops import Edge, ExecOp, SourceOp, Vertex
from engine.domain.builder.progress import Progress, WarningEvent
from engine.domain.builder.result import FrontendRequest, FrontendResult

_PLATFORM = Platform(os="linux", architecture="amd64")
_BASE = {
    "architecture": "amd64",
    "os": "linux",
    "config": {"Cmd": ["sh"], "Env": ["A=b"]},
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]},
    "history": [{"created_by": "x"}],
}


@dataclass
class _Session:
    id: str = "s"


@dataclass
class _Job:
    progress: Progress = field(default_factory=Progress)
    session: _Session = field(default_factory=_Session)


class _Reader:
    """Files by the name of the source and their path."""

    def __init__(self, files: Mapping[tuple[str, str], str]) -> None:
        self.files = files

    async def read_file(self, edge: Edge, path: str, _job: object) -> bytes:
        operation = edge.vertex.operation
        name = operation.identifier if isinstance(operation, SourceOp) else ""
        if (name, path) not in self.files:
            raise NotFound(path)
        return self.files[name, path].encode()


class _Resolver:
    async def resolve(self, reference: str, _platform: object, _mode: str, _job: object) -> BaseImage:
        if "nosuch" in reference:
            raise NotFound("failed to resolve it")
        return BaseImage(reference, "sha256:" + "2" * 64, json.dumps(_BASE).encode())


async def _solve(
    dockerfile: str,
    options: Mapping[str, str] | None = None,
    files: Mapping[tuple[str, str], str] | None = None,
    inputs: Mapping[str, Edge] | None = None,
) -> tuple[FrontendResult, _Job]:
    everything = {("local://dockerfile", "Dockerfile"): dockerfile, **(files or {})}
    frontend, job = DockerfileFrontend(_Reader(everything), _Resolver(), _PLATFORM), _Job()
    return await frontend.solve(FrontendRequest(options or {}, inputs or {}), job), job  # type: ignore[arg-type]


def _vertices(edge: Edge | None) -> dict[str, Vertex]:
    found: dict[str, Vertex] = {}
    pending = [edge.vertex] if edge else []
    while pending:
        vertex = pending.pop()
        found[vertex.description.custom_name] = vertex
        pending += [each.vertex for each in vertex.inputs]
    return found


async def test_names_and_configuration() -> None:
    result, _ = await _solve('FROM busybox AS a\nRUN echo hi\nFROM a\nCOPY x y /z/\nCMD ["a"]\n')
    vertices = _vertices(result.refs[""])
    assert set(vertices) == {
        f"[a 1/2] FROM docker.io/library/busybox:latest@sha256:{'2' * 64}",
        "[a 2/2] RUN echo hi",
        "[stage-1 1/1] COPY x y /z/",
        "[internal] load build context",
    }
    context = vertices["[internal] load build context"].operation
    assert isinstance(context, SourceOp)
    assert context.attrs == {"local.sharedkeyhint": "context", "local.followpaths": '["x","y"]'}
    config = json.loads(result.metadata["containerimage.config"])
    assert config["config"]["Cmd"] == ["a"]
    assert [step["created_by"] for step in config["history"]] == [
        "x",
        "RUN /bin/sh -c echo hi # buildkit",
        "COPY x y /z/ # buildkit",
        'CMD ["a"]',
    ]


async def test_ignore_file_of_the_dockerfile_comes_first() -> None:
    files = {
        ("local://dockerfile", "Dockerfile.dockerignore"): "*.o\n!a.o\n# no\n",
        ("local://context", ".dockerignore"): "x",
    }
    result, _ = await _solve("FROM scratch\nCOPY . /\n", files=files)
    context = _vertices(result.refs[""])["[internal] load build context"].operation
    assert isinstance(context, SourceOp)
    assert context.attrs["local.excludepatterns"] == '["*.o","!a.o"]'
    assert "local.followpaths" not in context.attrs


async def test_several_platforms() -> None:
    result, _ = await _solve("FROM busybox\nRUN echo $TARGETARCH\n", {"platform": "linux/amd64,linux/arm64"})
    assert set(result.refs) == {"linux/amd64", "linux/arm64"}
    assert "[linux/arm64 2/2] RUN echo $TARGETARCH" in _vertices(result.refs["linux/arm64"])
    assert "containerimage.config/linux/arm64" in result.metadata


async def test_named_directory_brings_only_what_is_copied() -> None:
    result, _ = await _solve(
        "FROM scratch\nCOPY --from=src /a/b /c\n", {"context:src": "local:src", "sharedkey:localdir:src": "k"}
    )
    source = _vertices(result.refs[""])["[context src] load from client"].operation
    assert isinstance(source, SourceOp)
    assert source.identifier == "local://src"
    assert source.attrs["local.followpaths"] == '["a/b"]'
    assert source.attrs["local.sharedkeyhint"] == "context:src-k"


async def test_result_of_another_build_as_base() -> None:
    tree = Edge(Vertex(SourceOp("docker-image://x")))
    metadata = json.dumps({"containerimage.config": base64.b64encode(json.dumps(_BASE).encode()).decode()})
    result, _ = await _solve(
        "FROM base\nRUN x\n", {"context:base": "input:base", "input-metadata:base": metadata}, inputs={"base": tree}
    )
    command = _vertices(result.refs[""])["[1/2] RUN x"]
    assert isinstance(command.operation, ExecOp)
    assert command.inputs[0].vertex is tree.vertex
    assert "A=b" in command.operation.meta.env


async def test_errors_name_file_and_lines() -> None:
    with pytest.raises(SourceFailed, match="unknown instruction: FOO") as caught:
        await _solve("FROM busybox\nFOO x\n")
    assert [(r.filename, r.start, r.end) for r in caught.value.ranges] == [("Dockerfile", 2, 2)]
    with pytest.raises(SourceFailed, match="nosuch: failed to resolve it"):
        await _solve("FROM nosuch\n")


async def test_warnings_are_sent() -> None:
    _, job = await _solve("FROM busybox\nCMD echo\n")
    (warning,) = [event for event in job.progress.events if isinstance(event, WarningEvent)]
    assert warning.short.startswith("JSONArgsRecommended: JSON arguments recommended for CMD")
    assert warning.url == "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/"
    _, quiet = await _solve("# check=skip=all\nFROM busybox\nCMD echo\n")
    assert quiet.progress.events == []


_ASKED = """# V says the version
ARG V=1
ARG UNUSED
FROM a:$V AS base
# A is the first
ARG A=x$V
RUN --mount=type=secret,id=s,required --mount=type=ssh true
# last is built
FROM base AS Last
ARG B
ARG TARGETOS
"""


async def _asked(kind: str, dockerfile: str = _ASKED, **options: str) -> tuple[dict[str, bytes], list[str]]:
    result, job = await _solve(dockerfile, {"requestid": f"frontend.{kind}", **options})
    assert result.refs == {"": None}
    warnings = [event.short for event in job.progress.events if isinstance(event, WarningEvent)]
    return dict(result.metadata), warnings


async def test_outline():
    found, _ = await _asked("outline")
    shown = json.loads(found["result.json"])
    assert shown["name"] == "last"
    assert shown["description"] == "is built"
    assert [(a["name"], a.get("value"), a.get("description")) for a in shown["args"]] == [
        ("V", "1", "says the version"),
        ("A", "x", "is the first"),
        ("B", None, None),
    ]
    assert shown["secrets"] == [{"name": "s", "required": True, "location": _at(7)}]
    assert shown["ssh"] == [{"name": "default", "location": _at(7)}]
    assert base64.b64decode(shown["sources"][0]).decode() == _ASKED
    assert found["result.txt"].decode().splitlines()[:5] == [
        "TARGET:      last",
        "DESCRIPTION: is built",
        "",
        "BUILD ARG   VALUE   DESCRIPTION",
        "V           1       says the version",
    ]


def _at(line: int) -> object:
    return {"ranges": [{"start": {"line": line}, "end": {"line": line}}]}


async def test_targets():
    found, warnings = await _asked("targets")
    assert json.loads(found["result.json"])["targets"] == [
        {"name": "base", "base": "a:$V", "location": _at(4)},
        {"name": "last", "default": True, "description": "is built", "base": "base", "location": _at(9)},
    ]
    assert found["result.txt"].decode() == "TARGET         DESCRIPTION\nbase           \nlast (default) is built\n"
    assert warnings == []


async def test_violations_are_told_in_the_answer_alone():
    found, warnings = await _asked("lint", "FROM a AS B\n\nFROM scratch\nRUN x $Y\n")
    shown = json.loads(found["result.json"])
    assert [(w["ruleName"], w["location"]) for w in shown["warnings"]] == [("StageNameCasing", _at(1))]
    assert found["result.statuscode"] == b"1"
    assert found["result.txt"].decode().splitlines()[3:6] == [
        "Dockerfile:1",
        "--------------------",
        "   1 | >>> FROM a AS B",
    ]
    assert warnings == []


async def test_what_cannot_be_built_is_told_beside_the_violations():
    found, _ = await _asked("lint", "FROM nosuch\n")
    error = json.loads(found["result.json"])["buildError"]
    assert error == {"message": "nosuch: failed to resolve it", "location": _at(1)}
    found, _ = await _asked("lint", target="nope")
    error = json.loads(found["result.json"])["buildError"]
    assert error == {"message": 'target stage "nope" could not be found', "location": {}}


async def test_nothing_to_complain_of():
    found, _ = await _asked("lint", "FROM scratch\n")
    assert json.loads(found["result.json"])["warnings"] is None
    assert (found["result.statuscode"], found["result.txt"]) == (b"0", b"")


async def test_what_can_be_asked():
    found, _ = await _asked("subrequests.describe")
    names = [each["name"] for each in json.loads(found["result.json"])]
    assert names == ["frontend.outline", "frontend.targets", "frontend.subrequests.describe"]
    with pytest.raises(UnsupportedRequest, match="unsupported request frontend.x"):
        await _asked("x")
