"""`RUN --mount`: mounts of a command as LLB has them (BuildKit's `convert_runmount.go`, `convert_secrets.go`)."""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.domain.builder.dockerfile.convert.scope import Scope
from engine.domain.builder.dockerfile.convert.stages import StageState, Step
from engine.domain.builder.dockerfile.convert.state import Inputs, make
from engine.domain.builder.dockerfile.failures import InstructionWrong
from engine.domain.builder.dockerfile.instructions import Run
from engine.domain.builder.dockerfile.mounts import RunMount, read_mount
from engine.domain.builder.dockerfile.shell import expand, go_quoted
from engine.domain.builder.llb.ops import (
    EMPTY,
    CacheSharing,
    Description,
    Edge,
    MakeDirectory,
    Mount,
    MountType,
    Owner,
    Protected,
    SecretEnv,
)

_SHARING = {"private": CacheSharing.PRIVATE, "locked": CacheSharing.LOCKED}
_AGENT = "/run/buildkit/ssh_agent.{}"
_KINDS = {"cache": MountType.CACHE, "tmpfs": MountType.TMPFS}


@dataclass(slots=True)
class ExecMounts:
    """All that is mounted for a command; trees first, then secrets, then agents, as BuildKit orders them."""

    trees: list[tuple[Mount, Edge | None]] = field(default_factory=list)
    secrets: list[Mount] = field(default_factory=list)
    agents: list[Mount] = field(default_factory=list)
    secret_env: list[SecretEnv] = field(default_factory=list)

    def placed(self, root: Edge | None) -> tuple[list[Mount], Sequence[Edge]]:
        """Return the mounts with the numbers of their inputs, and the inputs."""
        inputs = Inputs()
        mounts = [Mount("/", inputs.add(root), 0)]
        for mount, tree in sorted(self.trees, key=lambda each: each[0].dest):
            mounts.append(_with_input(mount, inputs.add(tree)))
        return [*mounts, *self.secrets, *self.agents], inputs.edges


def _with_input(mount: Mount, number: int) -> Mount:
    return Mount(
        mount.dest,
        number,
        mount.output,
        mount.selector,
        mount.readonly,
        mount.kind,
        mount.tmpfs_size,
        mount.cache_id,
        mount.sharing,
    )


def exec_mounts(scope: Scope, stage: StageState, step: Step, run: Run) -> ExecMounts:
    """Return what a RUN wants to be mounted. Raises InstructionWrong."""
    found = ExecMounts()
    for text, source in zip(run.mounts, step.sources, strict=True):
        mount = read_mount(text, lambda word: scope.expand(stage, step, word))
        lines = (run.line, run.end)
        if mount.kind == "secret":
            stage.outline.want_secret(_secret(found, mount), lines, required=bool(mount.required))
        elif mount.kind == "ssh":
            stage.outline.want_agent(_agent(found, mount), lines, required=bool(mount.required))
        else:
            found.trees.append(_tree(scope, stage, mount, source))
    if scope.settings.shm_size > 0:
        found.trees.append((Mount("/dev/shm", kind=MountType.TMPFS, tmpfs_size=scope.settings.shm_size), None))
    return found


def masked(scope: Scope, stage: StageState, run: Run) -> dict[str, str]:
    """Return the environment in which a RUN is shown: secrets hidden. Raises InstructionWrong."""
    env = dict(stage.state.env)
    for text in run.mounts:
        mount = read_mount(text, lambda word: expand(word, stage.state.env, scope.escape))
        if mount.kind == "secret" and mount.env is not None:
            env[mount.env] = "****"
    return env


def _secret(found: ExecMounts, mount: RunMount) -> str:
    secret = mount.source or mount.id or posixpath.basename(mount.target)
    if not secret:
        raise InstructionWrong("one of source, target required")
    if mount.env is not None:
        found.secret_env.append(SecretEnv(secret, mount.env, not mount.required))
        if not mount.target:
            return secret
    protected = Protected(
        secret, mount.uid or 0, mount.gid or 0, 0o400 if mount.mode is None else mount.mode, not mount.required
    )
    target = mount.target or f"/run/secrets/{posixpath.basename(secret)}"
    found.secrets.append(Mount(target, kind=MountType.SECRET, protected=protected))
    return secret


def _agent(found: ExecMounts, mount: RunMount) -> str:
    if mount.source:
        raise InstructionWrong("ssh does not support source")
    protected = Protected(
        mount.id, mount.uid or 0, mount.gid or 0, 0o600 if mount.mode is None else mount.mode, not mount.required
    )
    target = mount.target or _AGENT.format(len(found.agents))
    found.agents.append(Mount(target, kind=MountType.SSH, protected=protected))
    return mount.id or "default"


def _tree(scope: Scope, stage: StageState, mount: RunMount, source: StageState | None) -> tuple[Mount, Edge | None]:
    target = _target(stage, mount)
    if mount.kind == "tmpfs":
        return Mount(target, kind=MountType.TMPFS, tmpfs_size=mount.size), None
    tree = _source(scope, stage, mount, source)
    selector = posixpath.normpath(posixpath.join("/", mount.source)) if mount.source else "/"
    if selector == "/":
        selector = ""
        if not (mount.uid is mount.gid is mount.mode is None):
            tree, selector = _owned(mount, tree), "/cache"
    return (
        Mount(
            dest=target,
            output=EMPTY,
            selector=selector,
            readonly=bool(mount.readonly),
            kind=_KINDS.get(mount.kind, MountType.BIND),
            cache_id=_cache_id(scope, mount),
            sharing=_SHARING.get(mount.sharing, CacheSharing.SHARED),
        ),
        tree,
    )


def _target(stage: StageState, mount: RunMount) -> str:
    target = mount.target
    if not target.startswith("/"):
        target = posixpath.normpath(posixpath.join("/", stage.state.cwd, target))
    if target == "/":
        raise InstructionWrong(f"invalid mount target {go_quoted(target)}")
    return target


def _cache_id(scope: Scope, mount: RunMount) -> str:
    if mount.kind != "cache":
        return ""
    return f"{scope.settings.cache_namespace}/{mount.id or posixpath.normpath(mount.target)}"


def _source(scope: Scope, stage: StageState, mount: RunMount, source: StageState | None) -> Edge | None:
    wanted = posixpath.normpath(posixpath.join("/", mount.source))
    if source is None:
        stage.context_paths.add(wanted)
        return scope.context
    if not source.done:
        raise InstructionWrong(
            f"cannot mount from stage {go_quoted(mount.source_stage)} to {go_quoted(mount.target)}, stage needs to be "
            "defined before current command"
        )
    source.paths.add(wanted)
    return source.state.tree


def _owned(mount: RunMount, tree: Edge | None) -> Edge:
    owner = Owner(mount.uid or 0, mount.gid or 0)
    directory = MakeDirectory("/cache", 0o755 if mount.mode is None else mount.mode, owner=owner)
    return make(tree, directory, Description(custom_name="[internal] setting cache mount permissions"))
