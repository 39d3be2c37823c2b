"""Graphs go over the wire and come back as they were; those of hostile clients are refused."""

import gc
import hashlib
from typing import Any

import pytest

from engine.core.model.image import Platform
from engine.domain.builder.llb.codec import digest_of, from_definition, to_definition
from engine.domain.builder.llb.failures import InvalidDefinition
from engine.domain.builder.llb.ops import (
    CacheSharing,
    CopyAction,
    Description,
    DiffOp,
    Edge,
    ExecOp,
    FileAction,
    FileOp,
    MakeDirectory,
    MakeFile,
    MakeSymlink,
    MergeOp,
    Meta,
    Mount,
    MountType,
    NetMode,
    Owner,
    Protected,
    Remove,
    SecretEnv,
    SourceOp,
    SourceRange,
    Vertex,
)
from engine.domain.builder.protocol.messages import pb

_DOCKERFILE = b"FROM busybox\nRUN true\n"
_LINES = SourceRange("Dockerfile", 2, 2, _DOCKERFILE)
_IMAGE = Vertex(
    SourceOp("docker-image://docker.io/library/busybox:latest"), platform=Platform(os="linux", architecture="amd64")
)
_CONTEXT = Vertex(SourceOp("local://context", {"local.followpaths": '["a"]'}))
_EXEC = ExecOp(
    Meta(
        args=("/bin/sh", "-c", "true"),
        env=("PATH=/bin",),
        cwd="/src",
        user="nobody",
        hostname="h",
        extra_hosts=(("x", "10.0.0.1"),),
        ulimits=(("nofile", 10, 20),),
        cgroup_parent="/p",
        proxy_env={"http_proxy": "http://p"},
        valid_exit_codes=(3,),
    ),
    (
        Mount("/", 0, 0),
        Mount("/src", 1, selector="sub", readonly=True),
        Mount("/tmp", kind=MountType.TMPFS, tmpfs_size=1 << 20),
        Mount("/root/.cache", kind=MountType.CACHE, cache_id="c", sharing=CacheSharing.LOCKED),
        Mount("/run/secrets/s", kind=MountType.SECRET, protected=Protected("s", 1, 2, 0o400, True)),
        Mount("/run/ssh", kind=MountType.SSH, protected=Protected("default", mode=0o600)),
    ),
    NetMode.NONE,
    True,
    (SecretEnv("s", "S", True),),
    ("vendor.com/gpu=all",),
)
_FILES = FileOp(
    (
        FileAction(
            CopyAction(
                "/a",
                "/b",
                Owner("user", 0, 0),
                "u=rw",
                True,
                True,
                True,
                True,
                True,
                True,
                5,
                ("*.c",),
                ("*.o",),
                ("x",),
                True,
            ),
            0,
            1,
        ),
        FileAction(MakeFile("/f", b"\0data", 0o600, Owner(1, "group", 1), 7), 2),
        FileAction(MakeDirectory("/d", 0o700, True), 3),
        FileAction(Remove("/r", True, True), 4),
        FileAction(MakeSymlink("/old", "/new"), 5, output=0),
    )
)


def _graph() -> Edge:
    command = Vertex(
        _EXEC,
        (Edge(_IMAGE), Edge(_CONTEXT)),
        description=Description("RUN true", True, ("g", "group", True), (_LINES,)),
    )
    files = Vertex(_FILES, (Edge(command), Edge(_CONTEXT)))
    diff = Vertex(DiffOp(0, 1), (Edge(command), Edge(files)))
    return Edge(Vertex(MergeOp(), (Edge(command), Edge(diff))))


def _flat(edge: Edge) -> dict[str, tuple[Any, ...]]:
    found, pending = {}, [edge.vertex]
    while pending:
        vertex = pending.pop()
        inputs = [(digest_of(each.vertex), each.output) for each in vertex.inputs]
        found[digest_of(vertex)] = (vertex.operation, inputs, vertex.platform, vertex.description)
        pending += [each.vertex for each in vertex.inputs]
    return found


def test_a_graph_comes_back_as_it_was() -> None:
    edge = _graph()
    data = to_definition(edge)
    back = from_definition(data)
    assert back is not None
    assert _flat(back) == _flat(edge)
    assert to_definition(back) == data


def test_nothing_is_an_empty_definition() -> None:
    assert to_definition(None) == b""
    assert from_definition(b"") is None


def test_equal_work_has_equal_digests_whatever_it_is_called() -> None:
    named = Vertex(SourceOp("local://a", {"x": "1", "y": "2"}), description=Description("name", True))
    plain = Vertex(SourceOp("local://a", {"y": "2", "x": "1"}))
    assert digest_of(named) == digest_of(plain)
    assert digest_of(plain) != digest_of(Vertex(SourceOp("local://b", {"y": "2", "x": "1"})))


def test_octal_modes_are_numbers() -> None:
    copy = Vertex(
        FileOp((FileAction(CopyAction("/a", "/b", mode="0750"), secondary_input=0, output=0),)), (Edge(_CONTEXT),)
    )
    back = from_definition(to_definition(Edge(copy)))
    assert back is not None
    assert back.vertex.operation.actions[0].action.mode == "750"  # type: ignore[union-attr]


def test_deep_graphs_do_not_recurse() -> None:
    edge = Edge(_IMAGE)
    for number in range(3000):
        edge = Edge(Vertex(FileOp((FileAction(MakeFile(f"/{number}", b""), 0, output=0),)), (edge,)))
    back = from_definition(to_definition(edge))
    assert back is not None
    assert digest_of(back.vertex) == digest_of(edge.vertex)
    del edge, back
    gc.collect()


def _definition(*ops: Any) -> bytes:
    made = pb.Definition()
    getattr(made, "def").extend([op.SerializeToString() for op in ops])
    return made.SerializeToString()


def _last(op: Any, index: int = 0) -> Any:
    definition = pb.Definition.FromString(_definition(op))
    digest = "sha256:" + hashlib.sha256(getattr(definition, "def")[0]).hexdigest()
    return pb.Op(inputs=[pb.Input(digest=digest, index=index)])


_SOURCE = pb.Op(source=pb.SourceOp(identifier="local://x"))
_ROOT = pb.Mount(dest="/", input=-1, output=0)


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        (pb.Op(), "unsupported operation without a kind"),
        (pb.Op(build=pb.BuildOp()), "unsupported operation build"),
        (pb.Op(exec=pb.ExecOp(mounts=[_ROOT])), "a command without arguments"),
        (pb.Op(exec=pb.ExecOp(meta=pb.Meta(args=["a"]))), "a command without a root"),
        (
            pb.Op(exec=pb.ExecOp(meta=pb.Meta(args=["a"]), mounts=[pb.Mount(dest="/", input=0)])),
            "input 0 is out of range",
        ),
        (
            pb.Op(exec=pb.ExecOp(meta=pb.Meta(args=["a"]), mounts=[_ROOT], network=9)),
            "unknown NetMode 9",
        ),
        (pb.Op(file=pb.FileOp(actions=[pb.FileAction()])), "unsupported file action without a kind"),
        (
            pb.Op(file=pb.FileOp(actions=[pb.FileAction(input=-2, mkdir=pb.FileActionMkDir())])),
            "input -2 is out of range",
        ),
        (
            pb.Op(
                file=pb.FileOp(
                    actions=[pb.FileAction(input=-1, output=5000, secondaryInput=-1, mkdir=pb.FileActionMkDir())]
                )
            ),
            "output 5000 is out of range",
        ),
        (pb.Op(merge=pb.MergeOp(inputs=[pb.MergeInput(input=0)])), "a merge must take its inputs in order"),
        (pb.Op(inputs=[pb.Input(digest="sha256:0")], merge=pb.MergeOp()), "operation sha256:0 is missing"),
    ],
)
def test_nonsense_is_refused(op: Any, reason: str) -> None:
    with pytest.raises(InvalidDefinition) as error:
        from_definition(_definition(op, _last(op)))
    assert str(error.value) == f"invalid LLB definition: {reason}"


def test_outputs_that_do_not_exist_are_refused() -> None:
    with pytest.raises(InvalidDefinition, match="has no output 3"):
        from_definition(_definition(_SOURCE, _last(_SOURCE, 3)))


def test_the_last_operation_must_be_the_result() -> None:
    with pytest.raises(InvalidDefinition, match="the last operation must point at the result"):
        from_definition(_definition(_SOURCE))


def test_garbage_is_refused() -> None:
    with pytest.raises(InvalidDefinition):
        from_definition(b"\xff\xff\xff")


def test_unknown_source_files_are_refused() -> None:
    made = pb.Definition.FromString(_definition(_SOURCE, _last(_SOURCE)))
    digest = _last(_SOURCE).inputs[0].digest
    made.Source.locations[digest].locations.add(sourceIndex=4, ranges=[pb.Range()])
    with pytest.raises(InvalidDefinition, match="source file 4 is out of range"):
        from_definition(made.SerializeToString())
