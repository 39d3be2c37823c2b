"""What is said of steps, and what a command of the classic builder comes to."""

from engine.domain.builder.classic import step_text
from engine.domain.builder.classic.command import command_of
from engine.domain.builder.dockerfile.convert.image_config import ImageConfig, RunConfig
from engine.domain.builder.dockerfile.convert.stages import StageState
from engine.domain.builder.dockerfile.convert.state import State
from engine.domain.builder.dockerfile.instructions import Arg, Single, Words
from engine.domain.builder.llb.ops import EMPTY, Edge, ExecOp, FileOp, MakeDirectory, Meta, Mount, SourceOp, Vertex


def _stage(**config: object) -> StageState:
    return StageState(base="x", state=State(env={"P": "80"}), image=ImageConfig(config=RunConfig(**config)))  # type: ignore[arg-type]


def _command() -> Edge:
    root = Edge(Vertex(SourceOp("step://x")))
    return Edge(Vertex(ExecOp(Meta(["/bin/sh", "-c", "x"]), [Mount("/", 0, 0)]), [root]))


def test_entries_differ_from_those_of_buildkit() -> None:
    stage = _stage()
    prefix = "/bin/sh -c #(nop)  "
    ports = Words(word="EXPOSE", words=["$P", "1/udp"])
    assert step_text.of_configuration(stage, ports, "EXPOSE [1/udp 80/tcp]", "\\") == f"{prefix}EXPOSE 1/udp 80"
    argument = Arg(arguments=[("A", "$P"), ("B", None)])
    assert step_text.of_configuration(stage, argument, "ARG A=7 B", "\\") == f"{prefix}ARG A=80 B"
    trigger = Single(word="ONBUILD", value="RUN x")
    assert step_text.of_configuration(stage, trigger, "", "\\") == f"{prefix}ONBUILD RUN x"
    directory = Single(word="WORKDIR", value="/w")
    assert step_text.of_configuration(stage, directory, "WORKDIR /w", "\\") == "/bin/sh -c #(nop) WORKDIR /w"


def test_command_names_the_arguments_that_no_variable_hides() -> None:
    stage = _stage(env=["HIDDEN=1"])
    stage.build_args = [("B", "2"), ("HIDDEN", "3"), ("A", "1"), ("NONE", None)]
    assert step_text.of_run(stage, _command()) == "|2 A=1 B=2 /bin/sh -c x"


def test_unused_arguments_but_not_proxies() -> None:
    assert step_text.unused({"z": "1", "a": None, "HTTP_PROXY": "p", "used": "u"}, {"used"}) == ["a", "z"]


def test_volumes_take_what_a_command_writes() -> None:
    changed = command_of(_stage(volumes={"/v": {}}), _command(), bare=False).vertex
    assert isinstance(changed.operation, ExecOp)
    assert changed.description.ignore_cache
    volume = changed.operation.mounts[1]
    assert (volume.dest, volume.input, volume.output, volume.selector) == ("/v", 1, EMPTY, "/v")
    made = changed.inputs[1].vertex.operation
    assert isinstance(made, FileOp)
    assert made.actions[0].action == MakeDirectory("/v", make_parents=True)


def test_mount_points_lie_below_what_a_command_changes() -> None:
    changed = command_of(_stage(), _command(), bare=True).vertex
    assert isinstance(changed.operation, ExecOp)
    below = changed.inputs[changed.operation.mounts[0].input].vertex.operation
    assert isinstance(below, FileOp)
    assert [(a.input, a.output) for a in below.actions] == [(0, EMPTY), (1, EMPTY), (2, 0)]
