"""What the conversion of every instruction needs to know, and how it describes the vertices that it makes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from engine.core.model.image import Platform
from engine.domain.builder.dockerfile.convert import names
from engine.domain.builder.dockerfile.convert.settings import Settings, SourceFile
from engine.domain.builder.dockerfile.convert.stages import Stages, StageState, Step
from engine.domain.builder.dockerfile.instructions import Instruction
from engine.domain.builder.dockerfile.lint import Lint, meant
from engine.domain.builder.dockerfile.shell import Expansion, ExpansionFailed, Style, expansion
from engine.domain.builder.dockerfile.suggest import nearest
from engine.domain.builder.llb.ops import Description, Edge, SourceRange

NOT_IN_ENVIRONMENT = frozenset({"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"})


@dataclass(frozen=True, slots=True)
class Scope:
    """`context` stands for the build context, whose vertex is made when it is known what is needed of it."""

    settings: Settings
    stages: Stages
    global_args: Mapping[str, str]
    context: Edge
    source: SourceFile
    lint: Lint
    escape: str = "\\"
    is_ignored: Callable[[str], bool] | None = None
    described: dict[str, int] = field(default_factory=dict)

    def platform_of(self, stage: StageState) -> Platform:
        """Return a stage's platform."""
        return stage.platform or self.settings.platform

    def expand(self, stage: StageState, step: Step, text: str, *, raw: bool = False) -> str:
        """Replace the variables of an instruction's word. Raises InstructionWrong."""
        return self.expansion(stage, step.instruction, text, Style(self.escape if not raw else "\\", raw=raw)).text

    def expansion(
        self, stage: StageState, instruction: Instruction, text: str, style: Style | None = None
    ) -> Expansion:
        """Return what becomes of a text; variables that are not defined are reported. Raises ExpansionFailed."""
        try:
            found = expansion(text, stage.state.env, style or Style(self.escape))
        except ExpansionFailed as error:
            self._report_undefined(stage, instruction, error.unmatched)
            raise
        self._report_undefined(stage, instruction, found.unmatched)
        return found

    def _report_undefined(self, stage: StageState, instruction: Instruction, unmatched: set[str]) -> None:
        declared = {name for name, _ in stage.build_args} | NOT_IN_ENVIRONMENT
        for name in sorted(unmatched - declared):
            near = nearest(name, stage.state.env, exact_case=True)
            self.lint.report("UndefinedVar", (instruction.line, instruction.end), name, meant(near))

    def shown(self, stage: StageState, code: str) -> str:
        """Return an instruction as it is shown."""
        return names.shown(code, stage.state.env, Style(self.escape))

    def numbered(self, stage: StageState, text: str, *, env: Mapping[str, str] | None = None, on_build: bool) -> str:
        """Count a step, and return its name with its number in front."""
        if not stage.total:
            return text
        stage.number += 1
        return self.same_number(stage, text, env=env, on_build=on_build)

    def same_number(
        self, stage: StageState, text: str, *, env: Mapping[str, str] | None = None, on_build: bool = False
    ) -> str:
        """Return another name for the step that was counted last."""
        if not stage.total:
            return text
        env = stage.state.env if env is None else env
        platform = names.platforms_of(self.platform_of(stage), env) if self.settings.multi_platform else ""
        prefix = names.numbered(stage.shown_name, stage.number, stage.total, platform)
        return f"{prefix}{'ONBUILD ' if on_build else ''}{text}"

    def described_as(self, name: str, instruction: Instruction, **more: object) -> Description:
        """Return a vertex's description, with the lines of its instruction."""
        lines = SourceRange(self.source.filename, instruction.line, instruction.end, self.source.data)
        return Description(custom_name=name, source=(lines,), **more)  # type: ignore[arg-type]
