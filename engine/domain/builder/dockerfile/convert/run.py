"""RUN to LLB (BuildKit's `dispatchRun`)."""

import re
from collections.abc import Mapping, Sequence

from engine.domain.builder.dockerfile.convert import names
from engine.domain.builder.dockerfile.convert.exec_mounts import ExecMounts, exec_mounts, masked
from engine.domain.builder.dockerfile.convert.history import created
from engine.domain.builder.dockerfile.convert.scope import Scope
from engine.domain.builder.dockerfile.convert.stages import StageState, Step
from engine.domain.builder.dockerfile.convert.state import make
from engine.domain.builder.dockerfile.failures import InstructionWrong
from engine.domain.builder.dockerfile.instructions import Run
from engine.domain.builder.dockerfile.parser import Heredoc
from engine.domain.builder.dockerfile.shell import Style
from engine.domain.builder.llb.ops import (
    EMPTY,
    Description,
    Edge,
    ExecOp,
    MakeFile,
    Meta,
    Mount,
    NetMode,
    Vertex,
)

DEFAULT_SHELL = ("/bin/sh", "-c")
_BARE = re.compile(r"\d*<<-?\s*([^<]*)")
_PIPES = "/dev/pipes/"
_NETWORKS = {"none": NetMode.NONE, "host": NetMode.HOST}
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")


def run(scope: Scope, stage: StageState, step: Step, instruction: Run) -> None:
    """Add a command to a stage. Raises InstructionWrong."""
    words, shown = _script(instruction), instruction.code
    stage.paths.add("/")  # A command may look at any file.
    mounts = exec_mounts(scope, stage, step, instruction)
    document = _only_document(instruction)
    if document is not None:
        shown += f" ({names.summary(document.content)})"
        if stage.image.os != "windows" and _text(document).startswith("#!"):
            mounts.trees.append(_script_file(document))
    words = with_shell(stage, words) if instruction.shell else words
    env = stage.state.env
    name = scope.numbered(
        stage,
        names.shown(
            shown,
            masked(scope, stage, instruction),
            Style(scope.escape, keep_quotes=True, keep_unset=True),
        ),
        env=env,
        on_build=step.on_build,
    )
    if not words:
        raise InstructionWrong("failed to marshal LLB definition: arguments are required")
    stage.state = stage.state.on(_exec(scope, stage, instruction, words, mounts, name))
    stage.image.commit(
        f"RUN {shown_command(words, stage.build_args, env)} # buildkit", layer=True, created=created(scope.settings)
    )


def _exec(
    scope: Scope, stage: StageState, instruction: Run, words: Sequence[str], mounts: ExecMounts, name: str
) -> Edge:
    settings = scope.settings
    placed, inputs = mounts.placed(stage.state.tree)
    meta = Meta(
        args=words,
        env=[f"{key}={value}" for key, value in _environment(stage, mounts).items()],
        cwd=stage.state.cwd,
        user=stage.state.user,
        hostname=stage.state.hostname,
        extra_hosts=settings.extra_hosts,
        ulimits=settings.ulimits,
        cgroup_parent=settings.cgroup_parent,
        proxy_env=proxies(settings.build_args),
    )
    operation = ExecOp(
        meta,
        placed,
        network=_NETWORKS.get(instruction.network, stage.state.network),
        insecure=instruction.security == "insecure",
        secret_env=mounts.secret_env,
        devices=instruction.devices,
    )
    description = scope.described_as(name, instruction, ignore_cache=stage.ignore_cache)
    return Edge(Vertex(operation, inputs, scope.platform_of(stage), description))


def _environment(stage: StageState, mounts: ExecMounts) -> Mapping[str, str]:
    if mounts.agents and "SSH_AUTH_SOCK" not in stage.state.env:
        return {**stage.state.env, "SSH_AUTH_SOCK": mounts.agents[0].dest}
    return stage.state.env


def proxies(build_args: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies that the build arguments name."""
    return {key.lower(): build_args[key] for key in sorted(build_args) if key.lower() in _PROXIES}


def with_shell(stage: StageState, words: Sequence[str]) -> list[str]:
    """Return the words that run a line in the stage's shell."""
    return [*(stage.image.config.shell or DEFAULT_SHELL), " ".join(words)]


def _only_document(instruction: Run) -> Heredoc | None:
    """Return the heredoc that is the whole script."""
    if not instruction.documents or len(instruction.words) != 1 or not _BARE.fullmatch(instruction.words[0]):
        return None
    return instruction.documents[0]


def _text(document: Heredoc) -> str:
    return re.sub(r"(?m)^\t+", "", document.content) if document.chomp else document.content


def _script(instruction: Run) -> Sequence[str]:
    """The shell reads heredocs itself; a heredoc alone is the script, or a program where it says so."""
    if not instruction.documents:
        return instruction.words
    document = _only_document(instruction)
    if document is None:
        return [instruction.words[0] + "".join(f"\n{d.content}{d.name}" for d in instruction.documents)]
    text = _text(document)
    return [_PIPES + document.name] if text.startswith("#!") else [text]


def _script_file(document: Heredoc) -> tuple[Mount, Edge]:
    file = MakeFile(f"/{document.name}", _text(document).encode(), 0o755)
    tree = make(None, file, Description(custom_name="[internal] preparing inline document"))
    return Mount(_PIPES, output=EMPTY, selector="/", readonly=True), tree


def shown_command(words: Sequence[str], build_args: Sequence[tuple[str, str | None]], env: Mapping[str, str]) -> str:
    """Return a command as history has it: the build arguments that it sees come first."""
    seen = {name: env.get(name, value or "") for name, value in build_args}
    shown = [f"|{len(seen)}", *(f"{name}={value}" for name, value in seen.items())] if seen else []
    return " ".join([*shown, *words])
