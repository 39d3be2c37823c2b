"""The conversion of a Dockerfile: its stages in order, those that are needed, to a tree and an image configuration.

Follows BuildKit's `dockerfile2llb`, so that vertices, their names, history and configuration are the same.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from engine.core import references
from engine.core.errors import WharfError
from engine.core.model.image import Platform
from engine.core.references import DEFAULT_DOMAIN
from engine.domain.builder.dockerfile.convert import checks, image_config, names
from engine.domain.builder.dockerfile.convert.arguments import predefined, with_globals
from engine.domain.builder.dockerfile.convert.dispatch import begin, dispatch
from engine.domain.builder.dockerfile.convert.image_config import ImageConfig
from engine.domain.builder.dockerfile.convert.outline import Outline, Summary, summarize
from engine.domain.builder.dockerfile.convert.scope import Scope
from engine.domain.builder.dockerfile.convert.settings import BaseImage, Settings, SourceFile, Surroundings
from engine.domain.builder.dockerfile.convert.stages import (
    SCRATCH,
    Stages,
    StageState,
    check_circles,
    of_file,
    reachable,
)
from engine.domain.builder.dockerfile.convert.state import State
from engine.domain.builder.dockerfile.failures import EmptyDockerfile, InstructionWrong, ParseFailed
from engine.domain.builder.dockerfile.ignore import ignoring
from engine.domain.builder.dockerfile.instructions import Stage
from engine.domain.builder.dockerfile.lint import Lint, read_options
from engine.domain.builder.dockerfile.read import read, read_trigger
from engine.domain.builder.dockerfile.shell import Style, expansion, go_quoted
from engine.domain.builder.dockerfile.suggest import did_you_mean
from engine.domain.builder.llb.ops import Description, Edge, SourceOp, SourceRange, Vertex
from engine.domain.images.platforms import InvalidPlatform, format_platform, normalize, parse_platform

_USUAL_IMAGES = ("alpine", "busybox", "centos", "debian", "golang", "ubuntu", "fedora")


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a Dockerfile comes to. `context_paths` are what is needed of the build context, None for all of it.

    `context` is the vertex that stands for the build context in `tree`.
    """

    tree: Edge | None
    image: ImageConfig
    base_image: ImageConfig | None
    context: Vertex
    context_paths: Sequence[str] | None
    ignores_cache: bool = False
    stages: Sequence[StageState] = field(default_factory=list)
    target: StageState | None = None

    def paths_of(self, context: Edge) -> list[str] | None:
        """Return what is needed of a named context, None for all of it."""
        found: set[str] = set()
        for stage in self.stages:
            if stage.context_tree is context:
                found |= stage.paths
        return _relative(found)

    def outline(self) -> Summary:
        """Return what the target can be given."""
        assert self.target is not None
        return summarize(self.target.name, self.target.comment, (stage.outline for stage in reachable(self.target)))


async def convert(source: SourceFile, settings: Settings, surroundings: Surroundings, lint: Lint) -> Conversion:
    """Return what a Dockerfile comes to. Raises ParseFailed, WharfError; violations of rules are in `lint`."""
    converter = _Converter(source, settings, surroundings, lint)
    try:
        return await converter.run()
    except InstructionWrong as error:
        raise ParseFailed(str(error)) from error


def lint_options(file_directive: str, argument: str | None) -> Lint:
    """Return the checks that a build argument or, without one, the file's directive wants. Raises InstructionWrong."""
    if argument is not None:
        try:
            return Lint(read_options(argument))
        except InstructionWrong as error:
            raise InstructionWrong(f"failed to parse build-arg:BUILDKIT_DOCKERFILE_CHECK: {error}") from error
    try:
        return Lint(read_options(file_directive))
    except InstructionWrong as error:
        raise InstructionWrong(f"failed to parse check options: {error}") from error


class _Converter:
    """One conversion."""

    def __init__(self, source: SourceFile, settings: Settings, surroundings: Surroundings, lint: Lint) -> None:
        self._source = source
        self._settings = settings
        self._surroundings = surroundings
        self._lint = lint
        self._stages = Stages()
        self._context = Vertex(SourceOp("local://context"))
        self._args: Mapping[str, str] = {}
        self._outline = Outline()

    async def run(self) -> Conversion:
        if not self._source.data:
            raise EmptyDockerfile
        file = read(
            self._source.data.decode("utf-8", "replace"),
            lambda source: checks.check_source(source, self._lint),
            lambda instruction: checks.check_instruction(instruction, self._lint),
        )
        checks.check_file(file, self._lint)
        known = predefined(self._settings)
        checks.check_defaults(file, with_globals(known, file.globals, {}, file.escape), self._lint)
        self._args = with_globals(known, file.globals, self._settings.build_args, file.escape, self._outline)
        self._file = file
        for number, stage in enumerate(file.stages):
            await self._begin(stage, number)
        target = self._target()
        for state in list(self._stages.all):
            self._read_steps(state)
        check_circles(self._stages.all)
        if len(self._stages.all) == 1 and not self._stages.mounts:
            self._stages.all[0].shown_name = ""
        needed = await self._resolve(target)
        await self._dispatch(needed)
        return self._conversion(target)

    def _read_steps(self, state: StageState) -> None:
        state.steps = self._stages.add_steps(state, state.instructions, on_build=False)

    async def _begin(self, stage: Stage, number: int) -> None:
        begin, state = stage.begin, of_file(stage)
        state.outline.arguments = dict(self._outline.arguments)
        with _located(state):
            found = expansion(begin.base, self._args, Style(self._file.escape))
            known = [*self._args, *(name for each in self._file.globals for name, _ in each.arguments)]
            checks.check_arguments(begin, found, known, self._lint)
            if not found.text:
                raise InstructionWrong(f"base name ({begin.base}) should not be blank")
            state.base = found.text
            state.outline.used |= found.matched
            if begin.platform:
                state.platform = self._platform(stage, known, state.outline)
        if state.name:
            state.context = await self._surroundings.named_context(state.name, self._platform_of(state))
        self._stages.add(state)
        if state.context is not None:
            state.parent = None
            return
        state.shown_name = state.name or f"stage-{number}"
        state.count()
        state.ignore_cache = self._settings.ignores_cache(state.name)

    def _platform(self, stage: Stage, known: Sequence[str], outline: Outline) -> Platform:
        begin = stage.begin
        try:
            found = expansion(begin.platform, self._args, Style(self._file.escape))
        except InstructionWrong as error:
            raise InstructionWrong(f"failed to process arguments for platform : {error}") from error
        checks.check_arguments(begin, found, known, self._lint)
        checks.check_platform(begin, found, self._args, self._lint)
        outline.used |= found.matched
        near = next((d for name in sorted(found.unmatched) if (d := did_you_mean(name, known, exact_case=True))), "")
        if not found.text:
            raise InstructionWrong(f"empty platform value from expression {begin.platform}{near}")
        try:
            return parse_platform(found.text)
        except InvalidPlatform as error:
            raise InstructionWrong(f"failed to parse platform {begin.platform}: {error}{near}") from error

    def _platform_of(self, state: StageState) -> Platform:
        return state.platform or self._settings.platform

    def _target(self) -> StageState:
        name = self._settings.target
        if not name:
            return self._stages.all[-1]
        found = self._stages.named(name)
        if found is None:
            near = did_you_mean(name, self._stages.names(), exact_case=True)
            raise ParseFailed(f"target stage {go_quoted(name)} could not be found{near}")
        return found

    async def _resolve(self, target: StageState) -> list[StageState]:
        """Learn about the bases of what is needed; triggers of these may need more."""
        while True:
            needed = list(self._stages.all) if self._settings.all_stages else reachable(target)
            await _all(self._resolve_base(stage) for stage in needed if not stage.parent and not stage.resolved)
            more = [self._read_triggers(stage) for stage in self._stages.all if stage in needed]
            if not any(more):
                return needed

    async def _resolve_base(self, stage: StageState) -> None:
        stage.resolved = True
        platform = self._platform_of(stage)
        with _located(stage):
            if stage.context is not None:
                self._take_context(stage, platform)
            elif stage.base == SCRATCH:
                stage.image, stage.platform = image_config.empty(self._settings.platform), self._settings.platform
            else:
                await self._take_image(stage, platform)
        if stage.unregistered:
            stage.done = True

    def _take_context(self, stage: StageState, platform: Platform) -> None:
        assert stage.context is not None
        stage.state, stage.done, stage.context_tree = State(stage.context.tree), True, stage.context.tree
        if stage.context.config is None:
            stage.image = image_config.ImageConfig(os=platform.os, architecture=platform.architecture)
            return
        stage.base_image = image_config.read(stage.context.config)
        stage.image = stage.base_image.clone()
        stage.image.created = None
        if stage.image.os and stage.image.architecture:
            stage.platform = stage.image.platform

    async def _take_image(self, stage: StageState, platform: Platform) -> None:
        written = stage.base
        try:
            name = str(references.parse(written).with_default_tag())
        except references.InvalidReference as error:
            raise InstructionWrong(f"failed to parse stage name {go_quoted(written)}: {error}") from error
        stage.base, stage.platform = name, platform
        context = await self._surroundings.named_context(name, platform)
        if context is not None:
            found = image_config.empty(platform) if context.config is None else image_config.read(context.config)
            self._set_base(stage, found, context.tree)
            stage.context_tree = context.tree
            return
        prefix = f"[{format_platform(platform)} internal]" if self._settings.multi_platform else "[internal]"
        try:
            base = await self._surroundings.image(name, platform, f"{prefix} load metadata for {name}")
        except WharfError as error:
            near = did_you_mean(written, [*self._stages.names(), *_usual_names()], exact_case=True)
            raise InstructionWrong(f"{written}: {error}{near}") from error
        found = image_config.read(base.config)
        checks.check_base(written, platform, found.platform, stage.lines, self._lint)
        self._set_base(stage, found, None if _is_empty(found) else self._image_source(stage, base, platform))

    def _set_base(self, stage: StageState, found: ImageConfig, tree: Edge | None) -> None:
        stage.base_image, stage.image = found, found.clone()
        stage.image.created = None
        stage.state = State(tree)

    def _image_source(self, stage: StageState, base: BaseImage, platform: Platform) -> Edge:
        name = base.reference
        if base.digest and not references.parse(name).digest:
            name = f"{name}@{base.digest}"
        mode = self._settings.resolve_mode
        attrs = {} if mode == "default" else {"image.resolvemode": mode}
        text = f"FROM {name}"
        if stage.total:
            stage.number += 1
            shown = names.platforms_of(platform, {}) if self._settings.multi_platform else ""
            text = names.numbered(stage.shown_name, stage.number, stage.total, shown) + text
        lines = SourceRange(self._source.filename, *stage.lines, self._source.data)
        description = Description(custom_name=text, source=(lines,))
        return Edge(Vertex(SourceOp(f"docker-image://{name}", attrs), (), normalize(platform), description))

    def _read_triggers(self, stage: StageState) -> bool:
        """Put the triggers of a stage's base before its steps; tell whether they need more stages."""
        if stage.triggers_read or (stage.parent is None and not stage.resolved):
            return False
        stage.triggers_read = True
        triggers = list(stage.image.config.on_build or []) if stage.parent is None else _triggers_of(stage.parent)
        stage.image.config.on_build = None
        if not triggers or stage.unregistered or stage.context is not None:
            return False
        with _located(stage):
            instructions = [read_trigger(trigger, stage.lines) for trigger in triggers]
            steps = self._stages.add_steps(stage, instructions, on_build=True)
        stage.steps = [*steps, *stage.steps]
        stage.total += len(steps)
        return any(step.sources for step in steps)

    async def _dispatch(self, needed: Sequence[StageState]) -> None:
        ignored = ignoring(await self._surroundings.ignore_patterns())
        scope = Scope(
            self._settings,
            self._stages,
            self._args,
            Edge(self._context),
            self._source,
            self._lint,
            self._file.escape,
            ignored,
        )
        for stage in self._stages.all:
            if stage in needed and not stage.done:
                self._dispatch_stage(scope, stage)

    def _dispatch_stage(self, scope: Scope, stage: StageState) -> None:
        stage.inherit()
        stage.done = True
        stage.platform = self._platform_of(stage)
        begin(self._settings, stage)
        for step in stage.steps:
            lines = (step.instruction.line, step.instruction.end)
            try:
                dispatch(scope, stage, step)
            except ParseFailed as error:
                raise error if error.lines != (0, 0) else ParseFailed(str(error), lines) from error
            except WharfError as error:
                raise ParseFailed(str(error), lines) from error

    def _conversion(self, target: StageState) -> Conversion:
        image = target.image
        target.paths.add("/")
        if self._settings.labels:
            image.config.labels = {**(image.config.labels or {}), **self._settings.labels}
        self._lint.check()
        if self._settings.target_platform is not None:
            wanted = self._settings.target_platform
            image.os, image.architecture, image.variant = wanted.os, wanted.architecture, wanted.variant
        paths = {path for stage in self._stages.all for path in stage.context_paths}
        return Conversion(
            tree=target.state.tree,
            image=image,
            base_image=target.base_image,
            context=self._context,
            context_paths=_relative(paths),
            ignores_cache=any(stage.ignore_cache for stage in reachable(target)),
            stages=self._stages.all,
            target=target,
        )


def _relative(paths: set[str]) -> list[str] | None:
    return None if "/" in paths or not paths else sorted(path.lstrip("/") for path in paths)


def _is_empty(image: ImageConfig) -> bool:
    return not image.rootfs.diff_ids and all(step.empty_layer for step in image.history or ())


def _triggers_of(parent: StageState) -> list[str]:
    return [
        trigger
        for step in parent.steps
        if (trigger := getattr(step.instruction, "value", "")) and getattr(step.instruction, "word", "") == "ONBUILD"
    ]


def _usual_names() -> list[str]:
    return [
        form.format(name)
        for name in _USUAL_IMAGES
        for form in ("{}", f"{DEFAULT_DOMAIN}/library{{}}", "{}:latest", f"{DEFAULT_DOMAIN}/library{{}}:latest")
    ]


@contextmanager
def _located(stage: StageState) -> Iterator[None]:
    """Add a stage's lines to what goes wrong."""
    try:
        yield
    except ParseFailed as error:
        raise error if error.lines != (0, 0) else ParseFailed(str(error), stage.lines) from error
    except WharfError as error:
        raise ParseFailed(str(error), stage.lines) from error


async def _all(tasks: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait for all; the first failure ends the others."""
    pending = [asyncio.ensure_future(task) for task in tasks]
    try:
        await asyncio.gather(*pending)
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
