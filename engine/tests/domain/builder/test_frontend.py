"""The frontend on a solver that is not there: what is read, what comes out, what is warned of."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from engine.core.errors import NotFound
from engine.core.model.image import Platform
from engine.domain.builder.dockerfile.convert.settings import BaseImage
from engine.domain.builder.frontend import DockerfileFrontend, SourceFailed
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
