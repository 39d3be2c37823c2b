"""How a step is told in the history, from what the conversion has made of it. Pure."""

from collections.abc import Mapping, Sequence

from engine.domain.builder.classic import history
from engine.domain.builder.dockerfile.convert.run import DEFAULT_SHELL, proxies
from engine.domain.builder.dockerfile.convert.stages import StageState
from engine.domain.builder.dockerfile.instructions import Arg, Copy, Health, Instruction, Run, Single, Words
from engine.domain.builder.dockerfile.shell import expand, expand_words
from engine.domain.builder.llb.ops import Edge, ExecOp


def of_configuration(stage: StageState, instruction: Instruction, told: str, escape: str) -> str:
    """Return the entry of a step that makes no files; `told` is what BuildKit's history says."""
    comment = told
    if isinstance(instruction, Health):
        comment = history.of_healthcheck(instruction.check)
    elif isinstance(instruction, Arg):
        comment = " ".join(
            ["ARG", *(_argument(stage, name, default, escape) for name, default in instruction.arguments)]
        )
    elif isinstance(instruction, Words) and instruction.word == "EXPOSE":
        words = [word for each in instruction.words for word in expand_words(each, stage.state.env, escape)]
        comment = f"EXPOSE {' '.join(sorted(words))}"
    elif isinstance(instruction, Single) and instruction.word == "ONBUILD":
        comment = f"ONBUILD {instruction.value}"
    elif isinstance(instruction, Single) and instruction.word == "WORKDIR":
        return history.of_files(shell(stage), comment)
    return history.of_change(shell(stage), comment)


def _argument(stage: StageState, name: str, default: str | None, escape: str) -> str:
    return name if default is None else f"{name}={expand(default, stage.state.env, escape)}"


def shell(stage: StageState) -> Sequence[str]:
    """Return the words before a comment."""
    return stage.image.config.shell or DEFAULT_SHELL


def of_run(stage: StageState, tree: Edge) -> str:
    """Return the entry of a command, whose build arguments come first; not those that ENV has overridden."""
    operation = tree.vertex.operation
    assert isinstance(operation, ExecOp)
    return history.of_command(operation.meta.args, _seen_arguments(stage))


def _seen_arguments(stage: StageState) -> Mapping[str, str]:
    fixed = {each.partition("=")[0] for each in stage.image.config.env or ()}
    return {name: value for name, value in stage.build_args if value is not None and name not in fixed}


def of_copy(stage: StageState, copy: Copy, kind: str, diff_id: str, escape: str) -> str:
    """Return the entry of COPY and ADD."""
    dest, chown = expand(copy.dest, stage.state.env, escape), expand(copy.chown, stage.state.env, escape)
    return history.of_files(shell(stage), history.of_copy(copy.word, history.content(kind, diff_id), dest, chown))


def unused(build_args: Mapping[str, str | None], used: set[str]) -> list[str]:
    """Return the build arguments that no ARG has asked for; proxies need none."""
    known = set(proxies(dict.fromkeys(build_args, "")))
    return sorted(name for name in build_args if name not in used and name.lower() not in known)


def shown_command(instruction: Run, tree: Edge) -> str:
    """Return a command as errors show it."""
    operation = tree.vertex.operation
    assert isinstance(operation, ExecOp)
    return " ".join(operation.meta.args) if operation.meta.args else instruction.code
