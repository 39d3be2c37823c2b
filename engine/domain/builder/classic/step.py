"""One step of a classic build: from its stage's image to the next one."""

import asyncio
import posixpath
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.core import ids
from engine.core.digest import chain_ids
from engine.core.model.image import Image
from engine.domain.builder.classic import history, step_text
from engine.domain.builder.classic.command import MOUNT_POINTS, command_of
from engine.domain.builder.classic.failures import CommandFailed, StepFailed
from engine.domain.builder.classic.output import Output
from engine.domain.builder.classic.step_images import Draft, StepImages
from engine.domain.builder.classic.step_source import tree_of
from engine.domain.builder.dockerfile.convert import image_config
from engine.domain.builder.dockerfile.convert.dispatch import dispatch
from engine.domain.builder.dockerfile.convert.scope import Scope
from engine.domain.builder.dockerfile.convert.stages import StageState, Step
from engine.domain.builder.dockerfile.git_refs import parse_git_ref
from engine.domain.builder.dockerfile.instructions import Copy, Health, Instruction, Run, Single
from engine.domain.builder.dockerfile.shell import expand
from engine.domain.builder.failures import NO_SOURCE_KEY, ProcessFailed, VertexFailed
from engine.domain.builder.job import Job
from engine.domain.builder.llb.ops import CopyAction, Edge, FileOp, Vertex
from engine.domain.builder.snapshot import NamedLayer, Snapshot, Snapshots
from engine.domain.builder.solver.solver import Solver
from engine.domain.images.images import Images, hold_of
from engine.drivers.confine.archives import View

_EMPTY_LAYER = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
_WILDCARDS = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Workshop:
    """What steps are done with."""

    solver: Solver
    snapshots: Snapshots
    step_images: StepImages
    images: Images


@dataclass(slots=True)
class Built:
    """A stage and the image that it has come to; None: nothing yet, on an empty tree."""

    state: StageState
    image: Image | None = None
    bare: bool | None = None

    @property
    def image_id(self) -> str:
        """The image's id, or nothing."""
        return self.image.id if self.image else ""


@dataclass(frozen=True, slots=True)
class Conduct:
    """How a build is done: what counts as done before (None: everything), and what becomes of containers."""

    no_cache: bool = False
    allowed: Collection[str] | None = None
    remove: bool = True
    force_remove: bool = False


class Steps:
    """Does the steps of one build."""

    def __init__(self, workshop: Workshop, job: Job, output: Output, conduct: Conduct) -> None:
        self._workshop = workshop
        self._job = job
        self._output = output
        self._conduct = conduct

    async def do(self, scope: Scope, built: Built, step: Step) -> None:
        """Do a step; the stage then has the next image. Raises WharfError."""
        before, instruction = built.state.state.tree, step.instruction
        self._remark(built.state, instruction)
        told = self._dispatch(scope, built.state, step)
        tree = built.state.state.tree
        if isinstance(instruction, Copy):
            image = await self._copy(scope, built, step)
        elif isinstance(instruction, Run):
            assert tree is not None
            image = await self._command(built, step_text.of_run(built.state, tree), tree, instruction)
        else:
            entry = step_text.of_configuration(built.state, instruction, told, scope.escape)
            image = await self._change(built, entry, tree if tree is not before else None)
        self.take(built, image)
        built.state.image.history = image_config.read(await self._workshop.step_images.configuration(image)).history

    def take(self, built: Built, image: Image) -> None:
        """Let a stage go on from an image, which is kept until the build is over."""
        holder = f"build {self._job.ref} {image.id}"
        self._workshop.images.acquire(holder, hold_of(image))
        self._job.resources.callback(self._workshop.images.release, image.id, holder)
        built.image = image
        built.state.state = built.state.state.on(tree_of(image))

    def _remark(self, stage: StageState, instruction: Instruction) -> None:
        old = stage.image.config.healthcheck
        if isinstance(instruction, Health) and old and old.test and old.test[0] != "NONE":
            self._output.line(f"Note: overriding previous HEALTHCHECK: {history.bracketed(old.test)}")

    def _dispatch(self, scope: Scope, stage: StageState, step: Step) -> str:
        """Let the conversion do its part; return what it says in the history, which is not kept."""
        past, user = stage.image.history, stage.image.config.user
        if isinstance(step.instruction, Single) and step.instruction.word == "WORKDIR":
            stage.image.config.user = ""  # The directory belongs to root, whoever the user is.
        dispatch(scope, stage, step)
        if isinstance(step.instruction, Single) and step.instruction.word == "WORKDIR":
            stage.image.config.user = user
        made = stage.image.history or []
        stage.image.history, stage.image.config.args_escaped = past, False
        return made[-1].created_by if len(made) > len(past or []) else ""

    async def _known(self, draft: Draft) -> Image | None:
        if self._conduct.no_cache:
            return None
        found = await self._workshop.step_images.find(draft.key, self._conduct.allowed)
        if found is not None:
            self._output.line(" ---> Using cache")
        return found

    async def _change(self, built: Built, entry: str, tree: Edge | None) -> Image:
        draft = self._draft(built, entry)
        if (known := await self._known(draft)) is not None:
            return known
        with _Container(self._output, self._conduct) as container:
            layers = await self._layers(built, tree) if tree is not None else []
            image = await self._workshop.step_images.make(self._with(draft, layers))
            container.done = True
        return image

    async def _command(self, built: Built, entry: str, tree: Edge, instruction: Run) -> Image:
        draft = self._draft(built, entry)
        if (known := await self._known(draft)) is not None:
            return known
        with _Container(self._output, self._conduct) as container:
            try:
                bare = await self._is_bare(built)
                layers = await self._layers(built, command_of(built.state, tree, bare=bare))
            except VertexFailed as error:
                raise _command_failure(error, step_text.shown_command(instruction, tree)) from error
            image = await self._workshop.step_images.make(self._with(draft, layers))
            container.done = True
        return image

    async def _copy(self, scope: Scope, built: Built, step: Step) -> Image:
        copy, tree = step.instruction, built.state.state.tree
        assert isinstance(copy, Copy)
        assert tree is not None
        source = step.sources[0].state.tree if step.sources and step.sources[0] else scope.context
        sources = [expand(path, built.state.state.env, scope.escape) for path in copy.sources]
        kind = await self._check_sources(copy, sources, source, local=not step.sources)
        try:
            layers = await self._layers(built, _strict(tree))
        except VertexFailed as error:
            raise _copy_failure(error, copy, sources) from error
        diff_id = layers[-1].diff_id if layers else _EMPTY_LAYER
        entry = step_text.of_copy(built.state, copy, kind, diff_id, scope.escape)
        draft = self._draft(built, entry)
        return await self._known(draft) or await self._workshop.step_images.make(self._with(draft, layers))

    async def _check_sources(self, copy: Copy, sources: Sequence[str], tree: Edge | None, *, local: bool) -> str:
        """Tell whether files or directories are copied. Raises StepFailed where one is not there."""
        several = len(sources) + len(copy.documents) > 1
        kind = "file"
        plain = [path for path in sources if not _is_remote(path) and not _WILDCARDS.search(path)]
        if plain:
            async with self._workshop.solver.tree(tree, self._job) as root:
                for path in plain:
                    if local and posixpath.normpath(path).split("/")[0] == "..":
                        raise StepFailed(f"{copy.word} failed: forbidden path outside the build context: {path} ()")
                    found = await self._workshop.snapshots.confine.archives.stat(View(root), f"/{path.lstrip('/')}")
                    if found.get("missing"):
                        where = "file not found in build context or excluded by .dockerignore: " if local else ""
                        raise StepFailed(f"{copy.word} failed: {where}stat {path.strip('/')}: file does not exist")
                    kind = "dir" if found["mode"] & 0o170000 == 0o040000 else "file"
        if several and not copy.dest.endswith(("/", ".")):
            raise StepFailed(
                f"When using {copy.word} with more than one source file, the destination must be a directory and end "
                "with a /"
            )
        return "multi" if several or len(plain) < len(sources) else kind

    async def _layers(self, built: Built, tree: Edge) -> list[NamedLayer]:
        """Make a tree; return the layers that it has more than the stage's image."""
        snapshot = await self._workshop.solver.solve(tree, self._job)
        below = len(built.image.diff_ids) if built.image else 0
        own = snapshot.layers[max(below, len(snapshot.layers) - 1) :]  # Without that of the container below it.
        named = await self._workshop.snapshots.named(Snapshot((*snapshot.layers[:below], *own)))
        return [layer for layer in named[below:] if layer.diff_id != _EMPTY_LAYER]

    async def _is_bare(self, built: Built) -> bool:
        """Tell whether an image lacks what containers need to have mounted."""
        if built.bare is None:
            tree = tree_of(built.image) if built.image else None
            async with self._workshop.solver.tree(tree, self._job) as root:
                built.bare = not await asyncio.to_thread(_has_mount_points, root)
        return built.bare

    def _draft(self, built: Built, entry: str) -> Draft:
        return Draft(built.state.image, entry, built.image_id, _layers_of(built.image))

    def _with(self, draft: Draft, layers: Sequence[NamedLayer]) -> Draft:
        return replace(draft, layers=[*draft.layers, *layers], adds_layer=bool(layers))


def _layers_of(image: Image | None) -> list[NamedLayer]:
    if image is None:
        return []
    return [
        NamedLayer(chain, diff_id, blob)
        for chain, diff_id, blob in zip(chain_ids(image.diff_ids), image.diff_ids, image.layers, strict=True)
    ]


def _has_mount_points(root: Path) -> bool:
    """Blocks; call in a thread."""
    return all((root / name).is_dir() and not (root / name).is_symlink() for name in MOUNT_POINTS)


class _Container:
    """What clients are told of the container that a step is done in, which has a name only."""

    def __init__(self, output: Output, conduct: Conduct) -> None:
        self._output = output
        self._conduct = conduct
        self._name = ids.new_id()[:12]
        self.done = False

    def __enter__(self) -> "_Container":
        self._output.line(f" ---> Running in {self._name}")
        return self

    def __exit__(self, *_: object) -> None:
        if self._conduct.remove if self.done else self._conduct.force_remove:
            self._output.line(f" ---> Removed intermediate container {self._name}")


def _is_remote(path: str) -> bool:
    git = parse_git_ref(path)
    return path.startswith(("http://", "https://")) or (git is not None and not git.maybe_local)


def _strict(tree: Edge) -> Edge:
    """A pattern that matches nothing is an error here."""
    operation = tree.vertex.operation
    if not isinstance(operation, FileOp):
        return tree
    actions = [
        replace(each, action=replace(each.action, allow_empty_wildcard=False))
        if isinstance(each.action, CopyAction)
        else each
        for each in operation.actions
    ]
    vertex: Vertex = replace(tree.vertex, operation=FileOp(actions))
    return Edge(vertex, tree.output)


def _command_failure(error: VertexFailed, command: str) -> CommandFailed | StepFailed:
    cause = error.cause
    if isinstance(cause, ProcessFailed) and cause.code > 0:
        return CommandFailed(command, cause.code)
    return StepFailed(str(error).rpartition("did not complete successfully: ")[2])


def _copy_failure(error: VertexFailed, copy: Copy, sources: Sequence[str]) -> StepFailed:
    text = str(error)
    missing = "not found" in text or "no such file" in text
    if missing and any(_WILDCARDS.search(path) for path in sources):
        return StepFailed(f"{copy.word} failed: no source files were specified")
    match = re.search(r"(?:unable to find|no such) user:? ?(\S*)", text)
    if copy.chown and match:
        name = copy.chown.partition(":")[0]
        return StepFailed(
            f"unable to convert uid/gid chown string to host mapping: can't find uid for user {name}: "
            f"no such user: {name}"
        )
    return StepFailed(f"{copy.word} failed: {text.removeprefix(f'{NO_SOURCE_KEY}: ')}")
