"""The frontend `dockerfile.v0`: options, a Dockerfile and its contexts to graphs and image configurations.

Does what BuildKit's `dockerui` and `dockerfile2llb` do, so that vertices, names and errors are the same.
"""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from engine.core.errors import InvalidParameter, WharfError
from engine.core.model.image import Platform
from engine.domain.builder.dockerfile.convert import image_config
from engine.domain.builder.dockerfile.convert.convert import Conversion, convert, lint_options
from engine.domain.builder.dockerfile.convert.graft import graft
from engine.domain.builder.dockerfile.convert.outline import Summary
from engine.domain.builder.dockerfile.convert.settings import Settings, SourceFile
from engine.domain.builder.dockerfile.failures import InstructionWrong, Lines, ParseFailed
from engine.domain.builder.dockerfile.lint import Lint, Violation
from engine.domain.builder.dockerfile.parser import directives_of
from engine.domain.builder.dockerfile.read import read
from engine.domain.builder.dockerfile.syntax import require_built_in, syntax_of
from engine.domain.builder.dockerfile.ui import subrequests
from engine.domain.builder.dockerfile.ui.main_context import MainContext
from engine.domain.builder.dockerfile.ui.named_contexts import Surroundings
from engine.domain.builder.dockerfile.ui.options import BuildOptions, per_platform, read_options
from engine.domain.builder.dockerfile.ui.trees import Reader, Resolver, Trees
from engine.domain.builder.job import Job
from engine.domain.builder.llb.codec import digest_of
from engine.domain.builder.llb.ops import Edge, SourceRange, Vertex
from engine.domain.builder.progress import WarningEvent
from engine.domain.builder.result import FrontendRequest, FrontendResult
from engine.domain.images import platforms
from engine.domain.images.platforms import format_platform, normalize

_CONFIG = "containerimage.config"
_BASE_CONFIG = "containerimage.base.config"


class SourceFailed(InvalidParameter):
    """Something is wrong at certain lines of the Dockerfile."""

    def __init__(self, message: str, ranges: Sequence[SourceRange]) -> None:
        super().__init__(message)
        self.ranges = ranges


class UnsupportedRequest(InvalidParameter):
    """Something else is asked of a Dockerfile than the frontend can answer."""

    def __init__(self, name: str) -> None:
        super().__init__(f"unsupported request {name}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Converted:
    """One platform's part of a result."""

    platform: Platform
    tree: Edge | None
    conversion: Conversion


@dataclass(frozen=True, slots=True)
class _Sources:
    """The Dockerfile, where it comes from, and the solver."""

    main: MainContext
    file: SourceFile
    trees: Trees


class DockerfileFrontend:
    """Solves requests."""

    def __init__(self, reader: Reader, resolver: Resolver, build_platform: Platform | None = None) -> None:
        self._reader = reader
        self._resolver = resolver
        self._build_platform = build_platform or platforms.host()

    async def solve(self, request: FrontendRequest, job: Job) -> FrontendResult:
        """Return what a request comes down to. Raises WharfError; SourceFailed where it is a certain line's fault."""
        options = read_options(request.options, self._build_platform)
        trees = Trees(self._reader, self._resolver, job)
        main = MainContext(request, trees)
        source = await main.load()
        _check_syntax(request.options, source)
        sources = _Sources(main, source, trees)
        if "requestid" in request.options:
            return FrontendResult({"": None}, await self._told(request, options.settings, sources))
        try:
            return await self._converted(request, options, sources)
        except ParseFailed as error:
            raise _failed(error, source) from error

    async def _told(self, request: FrontendRequest, settings: Settings, sources: _Sources) -> subrequests.Metadata:
        """Return what is asked of the Dockerfile but to build it. Raises WharfError."""
        kind = request.options["requestid"]
        try:
            if kind == subrequests.DESCRIBE:
                return subrequests.describe()
            if kind == subrequests.TARGETS:
                return subrequests.targets(read(sources.file.data.decode("utf-8", "replace")), sources.file)
            if kind == subrequests.OUTLINE:
                return subrequests.outline(await self._outline(request, settings, sources), sources.file)
            if kind == subrequests.LINT:
                return await self._linted(request, settings, sources)
        except ParseFailed as error:
            raise InstructionWrong(str(error)) from error
        raise UnsupportedRequest(kind)

    async def _outline(self, request: FrontendRequest, settings: Settings, sources: _Sources) -> Summary:
        lint = _lint(request.options, sources.file)
        surroundings = Surroundings(request, sources.main, sources.trees)
        try:
            return (await convert(sources.file, settings, surroundings, lint)).outline()
        finally:
            _warn(sources, lint.found)

    async def _linted(self, request: FrontendRequest, settings: Settings, sources: _Sources) -> subrequests.Metadata:
        """Without a target all stages are looked at."""
        if "build-arg:BUILDKIT_DOCKERFILE_CHECK" in request.options:
            _lint(request.options, sources.file)
        surroundings, lint = Surroundings(request, sources.main, sources.trees), Lint()
        try:
            lint = _lint(request.options, sources.file)
            await convert(sources.file, replace(settings, all_stages=not settings.target), surroundings, lint)
        except ParseFailed as error:
            return subrequests.lint(lint.found, sources.file, str(error), error.lines)
        except WharfError as error:
            return subrequests.lint(lint.found, sources.file, str(error))
        return subrequests.lint(lint.found, sources.file)

    async def _converted(self, request: FrontendRequest, options: BuildOptions, sources: _Sources) -> FrontendResult:
        lint = _lint(request.options, sources.file)
        lints = itertools.chain([lint], (Lint() for _ in options.platforms))
        tasks = [
            self._convert(settings, Surroundings(request, sources.main, sources.trees), sources, each)
            for settings, each in zip(per_platform(options), lints, strict=False)
        ]
        try:
            found = await asyncio.gather(*tasks)
        finally:
            _warn(sources, lint.found)
        return _result(found, multi=options.settings.multi_platform)

    async def _convert(
        self, settings: Settings, surroundings: Surroundings, sources: _Sources, lint: Lint
    ) -> Converted:
        conversion = await convert(sources.file, settings, surroundings, lint)
        tree = conversion.tree
        if tree is not None:
            known: dict[Vertex, Edge] = {conversion.context: await sources.main.tree(conversion.context_paths)}
            for context in surroundings.locals:
                known[context.tree.vertex] = surroundings.finished(context, conversion.paths_of(context.tree))
            tree = graft(tree, known)
        image = conversion.image
        platform = image.platform if image.os and image.architecture else settings.platform
        return Converted(normalize(platform), tree, conversion)


def _lint(options: Mapping[str, str], source: SourceFile) -> Lint:
    directives = directives_of(source.data.decode("utf-8", "replace"))
    return lint_options(directives.get("check", ""), options.get("build-arg:BUILDKIT_DOCKERFILE_CHECK"))


def _check_syntax(options: Mapping[str, str], source: SourceFile) -> None:
    wanted = options.get("build-arg:BUILDKIT_SYNTAX", "") or syntax_of(source.data.decode("utf-8", "replace"))
    if wanted:
        require_built_in(wanted)


def _failed(error: ParseFailed, source: SourceFile) -> InvalidParameter:
    if error.lines == (0, 0):
        return InstructionWrong(str(error))
    return SourceFailed(str(error), _ranges(source, error.lines))


def _ranges(source: SourceFile, lines: Lines) -> list[SourceRange]:
    """Return each line on its own."""
    return [SourceRange(source.filename, line, line, source.data) for line in range(lines[0], lines[1] + 1)]


def _warn(sources: _Sources, violations: Sequence[Violation]) -> None:
    """Tell what the checks have found; only the first platform's, as the others find the same."""
    assert sources.main.definition is not None
    vertex, source = digest_of(sources.main.definition.vertex), sources.file
    for violation in violations:
        rule = violation.rule
        sources.trees.job.progress.send(
            WarningEvent(
                vertex,
                violation.short,
                [rule.description],
                rule.url,
                1,
                _ranges(source, violation.lines),
                source.filename,
                source.data,
            )
        )


def _result(found: Sequence[Converted], *, multi: bool) -> FrontendResult:
    metadata: dict[str, bytes] = {}
    refs: dict[str, Edge | None] = {}
    shown = []
    for each in found:
        name = format_platform(each.platform)
        suffix = f"/{name}" if multi else ""
        refs[name if multi else ""] = each.tree
        metadata[_CONFIG + suffix] = image_config.write(each.conversion.image)
        if each.conversion.base_image is not None:
            metadata[_BASE_CONFIG + suffix] = image_config.write(each.conversion.base_image)
        shown.append({"ID": name, "Platform": _shown(each.platform)})
    metadata["refs.platforms"] = msgspec.json.encode({"Platforms": shown})
    return FrontendResult(refs, metadata)


def _shown(platform: Platform) -> dict[str, str]:
    found = {"architecture": platform.architecture, "os": platform.os}
    return {**found, "variant": platform.variant} if platform.variant else found
