"""A classic build from the request to the image: context, Dockerfile, stages, steps, names."""

import asyncio
import contextlib
import posixpath
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.core import ids, references
from engine.core.errors import InvalidParameter, WharfError
from engine.core.model.image import Image, Platform
from engine.core.references import Reference
from engine.domain.builder.classic import failures, step_text
from engine.domain.builder.classic.options import BuildOptions
from engine.domain.builder.classic.output import CommandOutput, Output
from engine.domain.builder.classic.session import UploadSession
from engine.domain.builder.classic.step import Built, Conduct, Steps, Workshop
from engine.domain.builder.classic.step_source import tree_of
from engine.domain.builder.classic.upload import receive
from engine.domain.builder.dockerfile.convert import image_config
from engine.domain.builder.dockerfile.convert.arguments import predefined, with_globals
from engine.domain.builder.dockerfile.convert.dispatch import begin
from engine.domain.builder.dockerfile.convert.scope import Scope
from engine.domain.builder.dockerfile.convert.settings import Settings, SourceFile
from engine.domain.builder.dockerfile.convert.stages import SCRATCH, Stages, StageState, Step, of_file
from engine.domain.builder.dockerfile.convert.state import State
from engine.domain.builder.dockerfile.failures import Unreadable
from engine.domain.builder.dockerfile.git_refs import parse_git_ref
from engine.domain.builder.dockerfile.ignore import is_left_out
from engine.domain.builder.dockerfile.instructions import Dockerfile, Instruction, Label, Stage
from engine.domain.builder.dockerfile.lint import Lint
from engine.domain.builder.dockerfile.read import read, read_trigger
from engine.domain.builder.dockerfile.shell import Style, expansion
from engine.domain.builder.dockerfile.ui.main_context import MainContext
from engine.domain.builder.dockerfile.ui.trees import FrontendFailed, Reader, Resolver, Trees
from engine.domain.builder.failures import VertexFailed
from engine.domain.builder.job import Job
from engine.domain.builder.llb.ops import NetMode
from engine.domain.builder.result import FrontendRequest
from engine.domain.images import platforms
from engine.domain.images.failures import ImageNotFound, PlatformNotProvided
from engine.domain.images.platforms import InvalidPlatform, parse_platform
from engine.domain.images.progress import Sink
from engine.domain.images.pull import PullOptions
from engine.domain.images.tag import Tagger
from engine.drivers.confine.confine import Confine
from engine.drivers.registry.credentials import ANONYMOUS, Credentials

Pull = Callable[[PullOptions, Sink], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class BuildParts:
    """What builds are done with; contexts lie below `scratch` while they are needed."""

    workshop: Workshop
    reader: Reader
    resolver: Resolver
    pull: Pull
    tagger: Tagger
    confine: Confine
    scratch: Path


class ClassicBuilder:
    """Builds images as `POST /build` asks."""

    def __init__(self, parts: BuildParts) -> None:
        self._parts = parts

    async def build(self, options: BuildOptions, body: AsyncIterator[bytes], output: Output) -> str:
        """Build an image; return its id. Raises WharfError, OSError."""
        scratch = self._parts.scratch
        with tempfile.TemporaryDirectory(dir=scratch, prefix="build-", ignore_cleanup_errors=True) as context:
            ref = ids.new_id()
            if not options.remote:
                await receive(self._parts.confine, Path(context), body)
            progress = CommandOutput(output)
            session = UploadSession(ref, Path(context))
            async with Job(
                ref,
                session,
                progress,
                no_cache=options.no_cache,
                strict_names=True,
                credentials=options.credentials,
                host_config=options.host_config,
            ) as job:
                return await _Build(self._parts, options, job, output, Path(context)).run()


@dataclass(slots=True)
class _Plan:
    """What is to be done: the stages up to the target, and how many steps that makes."""

    file: Dockerfile
    stages: Sequence[Stage]
    total: int
    done: int = 0
    used: set[str] = field(default_factory=set)


class _Build:
    """One build."""

    def __init__(self, parts: BuildParts, options: BuildOptions, job: Job, output: Output, context: Path) -> None:
        self._parts = parts
        self._context = context
        self._options = options
        self._job = job
        self._output = output
        self._stages = Stages()
        self._built: dict[StageState, Built] = {}
        self._settings = _settings(options)
        self._steps = Steps(parts.workshop, job, output, self._conduct())

    def _conduct(self) -> Conduct:
        options = self._options
        allowed = None
        if options.cache_from is not None:
            found = (self._parts.workshop.images.id_of(name) for name in options.cache_from)
            allowed = self._parts.workshop.step_images.ancestry([each for each in found if each])
        return Conduct(options.no_cache, allowed, options.remove or options.force_remove, options.force_remove)

    async def run(self) -> str:
        main, source = await self._dockerfile()
        plan = _plan(source, self._options)
        self._warn(plan.file)
        arguments = self._global_arguments(plan)
        context = await main.tree(None)
        scope = Scope(self._settings, self._stages, arguments, context, source, Lint(), plan.file.escape)
        for stage in plan.stages:
            built = await self._stage(scope, plan, stage)
        if built.image is None:
            raise failures.NothingBuilt
        self._tell_unused(plan)
        await self._name(built.image)
        return built.image.id

    async def _dockerfile(self) -> tuple[MainContext, SourceFile]:
        options = self._options
        if options.remote and not failures.is_web_address(options.remote) and parse_git_ref(options.remote) is None:
            raise failures.NotRemote(options.remote)
        name = posixpath.normpath(options.dockerfile)
        if not options.remote and name.startswith("../"):
            raise failures.OutsideContext(options.dockerfile)
        asked = {"filename": name.lstrip("/"), **({"context": options.remote} if options.remote else {})}
        trees = Trees(self._parts.reader, self._parts.resolver, self._job)
        main = MainContext(FrontendRequest(asked), trees)
        try:
            source = await main.load()
        except FrontendFailed as error:
            raise failures.DockerfileMissing(options.dockerfile) from error
        except VertexFailed as error:
            raise failures.RemoteFailed(options.remote, str(error.cause)) from error
        if not source.data:
            raise failures.EmptyDockerfile(options.dockerfile)
        if not options.remote:
            await asyncio.to_thread(_drop_ignored, self._context, await main.ignore_patterns(), name.lstrip("/"))
        return main, source

    def _warn(self, file: Dockerfile) -> None:
        """Warn as the parser of old did."""
        starts = {start for start, _ in file.blank_continuations}
        everything: list[Instruction] = [*file.globals]
        for stage in file.stages:
            everything += [stage.begin, *stage.instructions]
        for instruction in everything:
            if instruction.line in starts:
                self._output.error(f"[WARNING]: Empty continuation line found in: {instruction.code}\n")
        if starts:
            self._output.error("[WARNING]: Empty continuation lines will become errors in a future release.\n")

    def _global_arguments(self, plan: _Plan) -> Mapping[str, str]:
        for instruction in plan.file.globals:
            self._announce(plan, instruction.code)
            plan.used |= {name for name, _ in instruction.arguments}
        known = predefined(self._settings)
        return with_globals(known, plan.file.globals, self._settings.build_args, plan.file.escape)

    def _announce(self, plan: _Plan, text: str) -> None:
        plan.done += 1
        self._output.text(f"Step {plan.done}/{plan.total} : {text}")
        self._output.text("\n")

    async def _stage(self, scope: Scope, plan: _Plan, stage: Stage) -> Built:
        if stage.name and self._stages.named(stage.name) is not None:
            raise failures.StageNameTaken(stage.name)
        self._announce(plan, stage.begin.code)
        built = await self._begin(scope, stage)
        self._output.line(f" ---> {_short(built.image_id)}")
        for instruction in stage.instructions:
            self._announce(plan, instruction.code)
            step = await self._step(scope, built, instruction)
            await self._steps.do(scope, built, step)
            self._output.line(f" ---> {_short(built.image_id)}")
        plan.used |= {name for name, _ in built.state.build_args}
        built.state.done = True
        if built.image is not None:
            self._output.image(built.image.id)
        return built

    async def _begin(self, scope: Scope, stage: Stage) -> Built:
        state = of_file(stage)
        name = expansion(state.base, scope.global_args, Style(scope.escape)).text
        if not name:
            raise InvalidParameter(f"base name ({state.base}) should not be blank")
        state.base, state.platform = name, self._settings.platform
        if stage.begin.platform:
            state.platform = _platform(expansion(stage.begin.platform, scope.global_args, Style(scope.escape)).text)
        self._stages.add(state)
        parent = self._built.get(state.parent) if state.parent else None
        built = self._built[state] = Built(state)
        if parent is not None:
            state.image = parent.state.image.clone()
            if parent.image is not None:
                self._steps.take(built, parent.image)
        elif name == SCRATCH:
            state.image = image_config.empty(state.platform)
            state.image.config.working_dir = ""
        else:
            await self._adopt(built, await self._image(name, state.platform if stage.begin.platform else None))
        await self._triggers(scope, built)
        return built

    async def _adopt(self, built: Built, image: Image) -> None:
        data = await self._parts.workshop.step_images.configuration(image)
        built.state.image = image_config.read(data)
        self._steps.take(built, image)

    async def _triggers(self, scope: Scope, built: Built) -> None:
        """Begin the stage, with the steps that its base has left for it."""
        state = built.state
        triggers, state.image.config.on_build = state.image.config.on_build or [], None
        begin(self._settings, state)
        if not triggers:
            return
        self._output.text(f"# Executing {len(triggers)} build trigger")
        if len(triggers) > 1:
            self._output.text("s")
        self._output.text("\n")
        for trigger in triggers:
            step = await self._step(scope, built, read_trigger(trigger, state.lines))
            await self._steps.do(scope, built, step)

    async def _step(self, scope: Scope, built: Built, instruction: Instruction) -> Step:
        """Find the stages and images that an instruction copies from."""
        name = getattr(instruction, "source_stage", "")
        if name.isdigit() and int(name) >= len(self._built) - 1:
            raise failures.InvalidStage(name, "index out of bounds")
        (step,) = self._stages.add_steps(built.state, [instruction], on_build=False)
        for source in step.sources:
            if source is not None and source.unregistered and not source.done:
                await self._fetch(scope, source)
        return step

    async def _fetch(self, scope: Scope, source: StageState) -> None:
        if source.base != SCRATCH:
            try:
                image = await self._image(source.base, None)
            except WharfError as error:
                raise failures.InvalidStage(source.base, str(error)) from error
            source.state = State(tree_of(image))
        source.done = True

    async def _image(self, name: str, platform: Platform | None) -> Image:
        """Return an image, pulled where it is not here or should be looked for. Raises WharfError."""
        images = self._parts.workshop.images
        wanted = platforms.format_platform(platform) if platform else ""
        if not wanted and self._options.platform is not None:
            wanted = platforms.format_platform(self._options.platform)
        reference = _reference(name)
        if not self._options.pull:
            try:
                image = images.resolve(name, wanted)
                if not wanted or platforms.same(parse_platform(wanted), image.platform):
                    return image
            except (ImageNotFound, PlatformNotProvided):
                pass
        if reference is None:
            raise ImageNotFound(name)
        credentials = _credentials(self._options.credentials, reference)
        await self._parts.pull(PullOptions(reference, wanted, credentials), self._output.progress)
        return images.resolve(str(reference), wanted)

    def _tell_unused(self, plan: _Plan) -> None:
        names = step_text.unused(self._options.build_args, plan.used)
        if names:
            self._output.line(f"[Warning] One or more build-args [{' '.join(names)}] were not consumed")

    async def _name(self, image: Image) -> None:
        self._output.line(f"Successfully built {_short(image.id)}")
        for name in self._options.tags:
            await self._parts.tagger.tag(image.id, name)
            self._output.line(f"Successfully tagged {name.familiar}")


def _drop_ignored(context: Path, patterns: Sequence[str], dockerfile: str) -> None:
    """Remove what clients send in any case, where it is ignored. Blocks; call in a thread."""
    for name in {".dockerignore", dockerfile}:
        above = (context / name).parent
        if is_left_out(patterns, name) and above.resolve().is_relative_to(context.resolve()):
            with contextlib.suppress(OSError):
                (context / name).unlink()


def _settings(options: BuildOptions) -> Settings:
    networks = {"none": NetMode.NONE, "host": NetMode.HOST}
    return Settings(
        build_args={name: value for name, value in options.build_args.items() if value is not None},
        target_platform=options.platform,
        build_platform=platforms.host(),
        network=networks.get(options.host_config.network_mode, NetMode.SANDBOX),
        target=options.target,
    )


def _plan(source: SourceFile, options: BuildOptions) -> _Plan:
    try:
        file = read(source.data.decode("utf-8", "replace"))
    except Unreadable as error:
        raise InvalidParameter(f"failed to parse Dockerfile: {error}") from error
    stages = file.stages
    if options.target:
        wanted = _target(file, options.target)
        stages = stages[: wanted + 1]
    last = stages[-1]
    labels = [
        Label(pairs=[(name, value)], literal=True, code=f"LABEL {name}={value}")
        for name, value in sorted(options.labels.items())
    ]
    stages = [*stages[:-1], replace(last, instructions=[*last.instructions, *labels])]
    return _Plan(file, stages, len(file.globals) + sum(1 + len(stage.instructions) for stage in stages))


def _target(file: Dockerfile, name: str) -> int:
    for number, stage in reversed(list(enumerate(file.stages))):
        if stage.name == name.lower():
            return number
    if name.isdigit() and int(name) < len(file.stages):
        return int(name)
    raise failures.TargetMissing(name)


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]


def _platform(text: str) -> Platform:
    try:
        return parse_platform(text)
    except InvalidPlatform as error:
        raise InvalidParameter(f"failed to parse platform {text}: {error}") from error


def _reference(name: str) -> Reference | None:
    """Return what to pull, None for an id."""
    try:
        return references.parse(name).with_default_tag()
    except references.HexadecimalName:
        return None


def _credentials(known: Mapping[str, Credentials], reference: Reference) -> Credentials:
    hub = ("https://index.docker.io/v1/", "index.docker.io", "docker.io")
    names = hub if reference.domain == references.DEFAULT_DOMAIN else (reference.domain, f"https://{reference.domain}")
    return next((known[name] for name in names if name in known), ANONYMOUS)
