"""The stages of a Dockerfile while they are converted, and how they need one another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from engine.core.model.image import Platform
from engine.domain.builder.dockerfile.convert.image_config import ImageConfig
from engine.domain.builder.dockerfile.convert.outline import Outline, comment_on
from engine.domain.builder.dockerfile.convert.settings import ContextTree
from engine.domain.builder.dockerfile.convert.state import State
from engine.domain.builder.dockerfile.failures import InstructionWrong, Lines, ParseFailed
from engine.domain.builder.dockerfile.instructions import Copy, Instruction, Run, Single, Stage
from engine.domain.builder.dockerfile.mounts import source_stage_of
from engine.domain.builder.llb.ops import Edge

SCRATCH = "scratch"


@dataclass(slots=True, eq=False)
class Step:
    """An instruction of a stage, and the stages that it copies from or mounts, by place (None: not from a stage)."""

    instruction: Instruction
    sources: "list[StageState | None]" = field(default_factory=list)
    on_build: bool = False


@dataclass(slots=True, eq=False)
class StageState:
    """A stage: what it begins with, what is done, and what has come of it so far.

    `unregistered`: an image that is copied from, not a stage of the file. `paths` are those that others need of it.
    """

    base: str
    name: str = ""
    lines: Lines = (0, 0)
    code: str = ""
    comment: str = ""
    shown_name: str = ""
    instructions: Sequence[Instruction] = ()
    platform: Platform | None = None
    parent: "StageState | None" = None
    context: ContextTree | None = None
    context_tree: Edge | None = None
    unregistered: bool = False
    ignore_cache: bool = False
    steps: list[Step] = field(default_factory=list)
    needs: "dict[StageState, Instruction]" = field(default_factory=dict)
    state: State = field(default_factory=State)
    image: ImageConfig = field(default_factory=ImageConfig)
    base_image: ImageConfig | None = None
    build_args: list[tuple[str, str | None]] = field(default_factory=list)
    context_paths: set[str] = field(default_factory=set)
    paths: set[str] = field(default_factory=set)
    done: bool = False
    resolved: bool = False
    triggers_read: bool = False
    workdir_set: bool = False
    number: int = 0
    total: int = 0
    last_lines: dict[str, Lines] = field(default_factory=dict)
    outline: Outline = field(default_factory=Outline)

    def inherit(self) -> None:
        """Begin where the parent stage has ended."""
        if self.parent is None:
            return
        self.state, self.platform, self.paths = self.parent.state, self.parent.platform, self.parent.paths
        self.image = self.parent.image.clone()
        self.image.config.on_build = None
        self.base_image = self.parent.base_image
        self.workdir_set = self.parent.workdir_set
        self.build_args = list(self.parent.build_args)

    def count(self) -> None:
        """Count the steps that have a number."""
        self.total = 1 if self.base != SCRATCH and self.parent is None else 0
        self.total += sum(1 for i in self.instructions if _is_numbered(i))


def _is_numbered(instruction: Instruction) -> bool:
    if isinstance(instruction, Single):
        return instruction.word == "WORKDIR"
    return isinstance(instruction, Copy | Run)


def of_file(stage: Stage) -> StageState:
    """Return a stage of the file, before anything is known of its base."""
    begin = stage.begin
    return StageState(
        base=begin.base,
        name=begin.alias,
        lines=(begin.line, begin.end),
        code=begin.code,
        comment=comment_on(begin.alias, begin.comments),
        shown_name=begin.alias,
        instructions=stage.instructions,
    )


class Stages:
    """All stages, in the order of the file; images that are copied from come behind."""

    def __init__(self) -> None:
        self.all: list[StageState] = []
        self.mounts = False
        """Whether a RUN mounts something: with BuildKit each such place counts as one more stage."""
        self._by_name: dict[str, StageState] = {}

    def add(self, stage: StageState) -> None:
        """Add a stage; its parent is the stage of its base's name."""
        self.all.append(stage)
        stage.parent = self._by_name.get(stage.base)
        if stage.name:
            self._by_name[stage.name.lower()] = stage

    def named(self, name: str) -> StageState | None:
        """Return the stage of a name."""
        return self._by_name.get(name.lower())

    def numbered(self, number: int) -> StageState:
        """Return the stage of a number. Raises InstructionWrong."""
        if not 0 <= number < len(self.all):
            raise InstructionWrong(f"invalid stage index {number}")
        return self.all[number]

    def names(self) -> list[str]:
        """Return the names of all stages, as they are shown."""
        return [stage.shown_name for stage in self.all if stage.shown_name]

    def add_steps(self, stage: StageState, instructions: Sequence[Instruction], *, on_build: bool) -> list[Step]:
        """Return instructions as steps, and note what they need. Raises InstructionWrong."""
        steps = []
        for instruction in instructions:
            step = Step(instruction, self._sources(instruction), on_build)
            steps.append(step)
            for source in step.sources:
                if source is not None:
                    stage.needs[source] = instruction
                    if source.unregistered and source not in self.all:
                        self.add(source)
        return steps

    def _sources(self, instruction: Instruction) -> list[StageState | None]:
        lines = (instruction.line, instruction.end)
        if isinstance(instruction, Copy) and instruction.source_stage:
            return [self._copied(instruction.source_stage, lines)]
        if isinstance(instruction, Run):
            self.mounts |= bool(instruction.mounts)
            return [self._mounted(mount) for mount in instruction.mounts]
        return []

    def _copied(self, name: str, lines: Lines) -> StageState:
        if "$" in name and not name.endswith("$"):
            raise InstructionWrong(
                "variable expansion is not supported for --from, define a new stage with FROM using ARG from global "
                "scope as a workaround"
            )
        return self.numbered(int(name)) if name.isascii() and name.isdigit() else self._found(name, lines)

    def _found(self, name: str, lines: Lines) -> StageState:
        return self.named(name) or StageState(base=name, unregistered=True, lines=lines)

    def _mounted(self, mount: str) -> StageState | None:
        kind, name = source_stage_of(mount)
        if not name and kind == "cache":
            name = SCRATCH
        return self._found(name, (0, 0)) if name and kind != "tmpfs" else None


def reachable(stage: StageState) -> list[StageState]:
    """Return a stage and all that it needs; its parent before what it copies from."""
    found: dict[StageState, None] = {}
    pending = [stage]
    while pending:
        each = pending.pop()
        if each not in found:
            found[each] = None
            pending.extend(reversed([*([each.parent] if each.parent else []), *each.needs]))
    return list(found)


def check_circles(stages: Sequence[StageState]) -> None:
    """Raise ParseFailed where stages need each other."""
    settled: set[StageState] = set()
    for stage in stages:
        circle = next(_circles(stage, settled), None)
        if circle is not None:
            lines = (circle[0].line, circle[0].end)
            raise ParseFailed(f"circular dependency detected on stage: {stage.shown_name}", lines)


def _circles(top: StageState, settled: set[StageState]) -> Iterator[list[Instruction]]:
    path: list[tuple[StageState, list[StageState], list[Instruction]]] = [(top, list(top.needs), [])]
    settled.add(top)
    while path:
        stage, pending, passed = path[-1]
        if not pending:
            path.pop()
            continue
        need = pending.pop(0)
        steps = [*passed, stage.needs[need]]
        if any(need is each for each, _, _ in path):
            yield steps
        elif need not in settled:
            settled.add(need)
            path.append((need, list(need.needs), steps))
