"""Each instruction's effect on a stage: its tree, its environment, its image configuration, its history.

Follows BuildKit's `dockerfile2llb`. RUN, COPY and ADD are in modules of their own.
"""

import posixpath
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from engine.core import signals, times
from engine.core.model.container import Healthcheck
from engine.domain.builder.dockerfile.convert.copy import copy
from engine.domain.builder.dockerfile.convert.history import created
from engine.domain.builder.dockerfile.convert.image_config import Health as HealthConfig
from engine.domain.builder.dockerfile.convert.outline import Argument, comment_on
from engine.domain.builder.dockerfile.convert.ports import exposed_ports
from engine.domain.builder.dockerfile.convert.run import run, with_shell
from engine.domain.builder.dockerfile.convert.scope import NOT_IN_ENVIRONMENT, Scope
from engine.domain.builder.dockerfile.convert.settings import Settings
from engine.domain.builder.dockerfile.convert.stages import StageState, Step
from engine.domain.builder.dockerfile.convert.state import make, owner_of
from engine.domain.builder.dockerfile.failures import InstructionWrong
from engine.domain.builder.dockerfile.instructions import (
    Arg,
    Command,
    Copy,
    Env,
    Health,
    Label,
    Run,
    Single,
    Words,
)
from engine.domain.builder.dockerfile.shell import go_quoted
from engine.domain.builder.llb.ops import MakeDirectory

_SECRET = re.compile(r"(?i)(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)")
_PUBLIC = re.compile(r"(?i)(?:_|^)(?:public)(?:_|$)")


def begin(settings: Settings, stage: StageState) -> None:
    """Let a stage begin with what its base's configuration says."""
    stage.image.with_path()
    for each in stage.image.config.env or ():
        name, _, value = each.partition("=")
        stage.state = stage.state.with_env(name, value)
    stage.state = replace(stage.state, network=settings.network, hostname=settings.hostname)
    if stage.image.config.working_dir:
        set_workdir(stage, stage.image.config.working_dir)
    if stage.image.config.user:
        set_user(stage, stage.image.config.user)


def dispatch(scope: Scope, stage: StageState, step: Step) -> None:
    """Apply an instruction. Raises InstructionWrong."""
    instruction = step.instruction
    if isinstance(instruction, Single | Words):
        _BY_WORD[instruction.word](scope, stage, step, instruction)
    else:
        _BY_TYPE[type(instruction)](scope, stage, step, instruction)


def _commit(scope: Scope, stage: StageState, text: str, *, layer: bool = False) -> None:
    stage.image.commit(text, layer=layer, created=created(scope.settings))


def _lines(step: Step) -> tuple[int, int]:
    return step.instruction.line, step.instruction.end


def _report_secret(scope: Scope, step: Step, word: str, name: str) -> None:
    if _SECRET.search(name) and not _PUBLIC.search(name):
        scope.lint.report("SecretsUsedInArgOrEnv", _lines(step), word, name)


def _env(scope: Scope, stage: StageState, step: Step, instruction: Env) -> None:
    pairs = [(scope.expand(stage, step, k), scope.expand(stage, step, v)) for k, v in instruction.pairs]
    for name, value in pairs:
        if instruction.legacy:
            scope.lint.report("LegacyKeyValueFormat", _lines(step), instruction.keyword)
        _report_secret(scope, step, "ENV", name)
        stage.state = stage.state.with_env(name, value)
        stage.image.set_env(name, value)
    _commit(scope, stage, " ".join(["ENV", *(f"{name}={value}" for name, value in pairs)]))


def _label(scope: Scope, stage: StageState, step: Step, instruction: Label) -> None:
    pairs = list(instruction.pairs)
    if not instruction.literal:
        pairs = [(scope.expand(stage, step, k), scope.expand(stage, step, v)) for k, v in pairs]
    if instruction.legacy:
        scope.lint.report("LegacyKeyValueFormat", _lines(step), instruction.keyword)
    stage.image.config.labels = {**(stage.image.config.labels or {}), **dict(pairs)}
    _commit(scope, stage, " ".join(["LABEL", *(f"{name}={value}" for name, value in pairs)]))


def _arg(scope: Scope, stage: StageState, step: Step, instruction: Arg) -> None:
    shown = []
    for name, default in instruction.arguments:
        _report_secret(scope, step, "ARG", name)
        value = _argument(scope, stage, step, name, default)
        if value is not None and name not in NOT_IN_ENVIRONMENT:
            stage.state = stage.state.with_env(name, value)
        stage.build_args.append((name, value))
        inherited = default is None and name not in scope.settings.build_args and name in scope.global_args
        if not inherited:
            comment = comment_on(name, instruction.comments)
            stage.outline.arguments[name] = Argument(name, value, comment, _lines(step))
        stage.outline.used.add(name)
        shown.append(name if value is None else f"{name}={value}")
    _commit(scope, stage, f"ARG {' '.join(shown)}")


def _argument(scope: Scope, stage: StageState, step: Step, name: str, default: str | None) -> str | None:
    if name in scope.settings.build_args:
        return scope.settings.build_args[name]
    if default is None:
        return scope.global_args.get(name)
    return scope.expansion(stage, step.instruction, default).text


def _command(scope: Scope, stage: StageState, step: Step, instruction: Command) -> None:
    _report_again(scope, stage, step, instruction.word, instruction.keyword)
    words: list[str] | None = list(instruction.words)
    if instruction.shell:
        if not stage.image.config.shell:
            scope.lint.report("JSONArgsRecommended", _lines(step), instruction.keyword)
        words = with_shell(stage, instruction.words)
    if instruction.word == "CMD":
        stage.image.config.cmd = words
        stage.image.config.args_escaped = True
    else:
        stage.image.config.entrypoint = words or None
        if "CMD" not in stage.last_lines:
            stage.image.config.cmd = None
    _commit(scope, stage, f"{instruction.word} {_quoted_words(words or ())}")


def _report_again(scope: Scope, stage: StageState, step: Step, word: str, keyword: str) -> None:
    """Report an instruction that overrides an earlier one, whose lines are named."""
    if word in stage.last_lines:
        scope.lint.report("MultipleInstructionsDisallowed", stage.last_lines[word], keyword)
    stage.last_lines[word] = _lines(step)


def _quoted_words(words: Sequence[str]) -> str:
    return f"[{' '.join(go_quoted(word) for word in words)}]"


def _health(scope: Scope, stage: StageState, step: Step, instruction: Health) -> None:
    _report_again(scope, stage, step, "HEALTHCHECK", instruction.keyword)
    check = instruction.check
    stage.image.config.healthcheck = HealthConfig(
        test=check.test,
        interval=check.interval,
        timeout=check.timeout,
        start_period=check.start_period,
        start_interval=check.start_interval,
        retries=check.retries,
    )
    _commit(scope, stage, f"HEALTHCHECK {shown_health(check)}")


def shown_health(check: Healthcheck) -> str:
    """Return a health check as Go's `%+q` shows it."""
    spans = (check.interval, check.timeout, check.start_period, check.start_interval)
    shown = " ".join(go_quoted(times.duration(span) if span else "0s") for span in spans)
    return f"&{{{_quoted_words(check.test or ())} {shown} {_rune(check.retries)}}}"


def _rune(number: int) -> str:
    """Return a number as Go's `%+q` shows it: as a character."""
    escapes = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 39: "\\'", 92: "\\\\"}
    if number in escapes:
        return f"'{escapes[number]}'"
    if 32 <= number < 127:
        return f"'{chr(number)}'"
    return f"'\\x{number:02x}'" if number < 128 else f"'\\u{number:04x}'"


def _user(scope: Scope, stage: StageState, step: Step, instruction: Single) -> None:
    user = scope.expand(stage, step, instruction.value)
    set_user(stage, user)
    _commit(scope, stage, f"USER {user}")


def set_user(stage: StageState, user: str) -> None:
    """Let later commands run as a user."""
    stage.state = replace(stage.state, user=user)
    stage.image.config.user = user


def set_workdir(stage: StageState, path: str) -> None:
    """Let later commands run in a directory, relative to the present one."""
    before = stage.image.config.working_dir
    found = path if path.startswith("/") else posixpath.normpath(posixpath.join("/", before, path))
    stage.image.config.working_dir = found
    stage.state = replace(stage.state, cwd=found)


def _workdir(scope: Scope, stage: StageState, step: Step, instruction: Single) -> None:
    path = scope.expand(stage, step, instruction.value)
    if not stage.workdir_set and not path.startswith("/"):
        scope.lint.report("WorkdirRelativePath", _lines(step), path)
    stage.workdir_set = True
    set_workdir(stage, path)
    cwd = stage.state.cwd
    if cwd != "/":
        user = stage.image.config.user
        action = MakeDirectory(
            posixpath.normpath(cwd),
            make_parents=True,
            owner=owner_of(user) if user else None,
            timestamp=-1 if scope.settings.epoch is None else scope.settings.epoch,
        )
        shown = scope.shown(stage, instruction.code)
        name = scope.numbered(stage, shown, on_build=step.on_build)
        stage.state = stage.state.on(make(stage.state.tree, action, scope.described_as(name, instruction)))
    _commit(scope, stage, f"WORKDIR {cwd}", layer=cwd != "/")


def _maintainer(scope: Scope, stage: StageState, _step: Step, instruction: Single) -> None:
    stage.image.author = instruction.value
    _commit(scope, stage, f"MAINTAINER {instruction.value}")


def _stop_signal(scope: Scope, stage: StageState, step: Step, instruction: Single) -> None:
    signal = scope.expand(stage, step, instruction.value)
    signals.parse_signal(signal)
    stage.image.config.stop_signal = signal
    _commit(scope, stage, f"STOPSIGNAL {signal}")


def _on_build(_scope: Scope, stage: StageState, _step: Step, instruction: Single) -> None:
    stage.image.config.on_build = [*(stage.image.config.on_build or []), instruction.value]


def _volume(scope: Scope, stage: StageState, step: Step, instruction: Words) -> None:
    volumes = [scope.expand(stage, step, word) for word in instruction.words]
    if not all(volumes):
        raise InstructionWrong("VOLUME specified can not be an empty string")
    stage.image.config.volumes = {**(stage.image.config.volumes or {}), **{volume: {} for volume in volumes}}
    _commit(scope, stage, f"VOLUME [{' '.join(volumes)}]")


def _shell(scope: Scope, stage: StageState, _step: Step, instruction: Words) -> None:
    stage.image.config.shell = list(instruction.words)
    _commit(scope, stage, f"SHELL [{' '.join(instruction.words)}]")


def _expose(scope: Scope, stage: StageState, step: Step, instruction: Words) -> None:
    words: list[str] = []
    for word in instruction.words:
        words += scope.expansion(stage, instruction, word).words
    ports = sorted({port for word in sorted(words) for port in exposed_ports(word, scope.lint, _lines(step))})
    stage.image.config.exposed_ports = {**(stage.image.config.exposed_ports or {}), **{port: {} for port in ports}}
    _commit(scope, stage, f"EXPOSE [{' '.join(ports)}]")


Handler = Callable[[Scope, StageState, Step, Any], None]

_BY_TYPE: dict[type, Handler] = {
    Arg: _arg,
    Command: _command,
    Copy: copy,
    Env: _env,
    Health: _health,
    Label: _label,
    Run: run,
}
_BY_WORD: dict[str, Handler] = {
    "EXPOSE": _expose,
    "MAINTAINER": _maintainer,
    "ONBUILD": _on_build,
    "SHELL": _shell,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
