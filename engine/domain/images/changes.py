"""`--change` of import and commit: Dockerfile instructions that alter an image's configuration. Pure.

The grammar and the texts are those of BuildKit's Dockerfile parser, as far as these instructions go.
"""

import json
import posixpath
import re
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from engine.core import times
from engine.core.errors import InvalidParameter
from engine.core.model.container import ContainerConfig, Empty, Healthcheck
from engine.core.signals import parse_signal
from engine.domain.images.failures import NotAChange

_SHELL = ["/bin/sh", "-c"]
_UNFIT = ("ADD", "ARG", "COPY", "FROM", "MAINTAINER", "RUN", "SHELL")
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?")
_PAIR = re.compile(r"""((?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^\s"'\\])+)""")
_QUOTES = re.compile(r"""\\(.)|"((?:\\.|[^"\\])*)"|'([^']*)'|([^\\"']+)""")
_DURATIONS = {"interval": "interval", "timeout": "timeout", "start-period": "start_period"}
_DURATIONS["start-interval"] = "start_interval"


class InvalidChange(InvalidParameter):
    """An instruction without what it needs."""


def apply(config: ContainerConfig, changes: Sequence[str]) -> ContainerConfig:
    """Return the configuration with the instructions applied in turn. Raises NotAChange, InvalidChange."""
    for change in changes:
        for line in _lines(change):
            word, _, rest = line.strip().partition(" ")
            instruction = _INSTRUCTIONS.get(word.upper())
            if instruction is None:
                raise NotAChange(word if word.upper() not in _UNFIT else word.upper())
            config = instruction(config, rest.strip())
    return config


def _lines(change: str) -> list[str]:
    lines = [x for x in change.replace("\\\n", " ").splitlines() if x.strip() and not x.lstrip().startswith("#")]
    if not lines:
        raise InvalidChange("file with no instructions")
    return lines


def _exec_form(text: str) -> list[str] | None:
    """Return the words of a JSON array, None for anything else."""
    try:
        found = json.loads(text) if text.startswith("[") else None
    except ValueError:
        return None
    return found if isinstance(found, list) and all(isinstance(w, str) for w in found) else None


def _command(text: str, config: ContainerConfig) -> list[str]:
    words = _exec_form(text)
    return [*(config.shell or _SHELL), *([text] if text else [])] if words is None else words


def _cmd(config: ContainerConfig, text: str) -> ContainerConfig:
    return replace(config, cmd=_command(text, config))


def _entrypoint(config: ContainerConfig, text: str) -> ContainerConfig:
    return replace(config, entrypoint=_command(text, config))


def _pairs(name: str, text: str) -> list[tuple[str, str]]:
    """Return the pairs of `a=b c="d e"`, or of the old form `a the rest`."""
    first = _PAIR.match(text)
    if first is None or "=" not in first[1]:
        key, space, value = text.partition(" ")
        if not space:
            raise InvalidChange(f"{name} must have two arguments")
        return [(key, value.strip())]
    found = []
    for word in _PAIR.findall(text):
        key, equals, value = word.partition("=")
        if not equals:
            raise InvalidChange(f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value')
        if not key:
            raise InvalidChange(f"{name} names can not be blank")
        found.append((_unquoted(key), _unquoted(value)))
    return found


def _unquoted(text: str) -> str:
    parts = _QUOTES.findall(text)
    return "".join(
        escaped or re.sub(r"\\([\"\\$])", r"\1", double) or single or bare for escaped, double, single, bare in parts
    )


def _env(config: ContainerConfig, text: str) -> ContainerConfig:
    found = dict(e.partition("=")[::2] for e in config.env or ())
    for key, value in _pairs("ENV", text):
        found[key] = value
    return replace(config, env=[f"{k}={v}" for k, v in found.items()])


def _label(config: ContainerConfig, text: str) -> ContainerConfig:
    return replace(config, labels={**(config.labels or {}), **dict(_pairs("LABEL", text))})


def _expose(config: ContainerConfig, text: str) -> ContainerConfig:
    ports = dict(config.exposed_ports or {})
    for word in text.split():
        match = _PORT.fullmatch(word)
        _, slash, protocol = word.partition("/")
        if slash and protocol not in ("tcp", "udp", "sctp"):
            raise InvalidChange(f"Invalid proto: {protocol}")
        if match is None or not all(int(n) < 65536 for n in match.groups()[:2] if n):
            raise InvalidChange(f"Invalid containerPort: {word}")
        first, last = int(match[1]), int(match[2] or match[1])
        ports |= {f"{n}/{match[3] or 'tcp'}": Empty() for n in range(first, last + 1)}
    return replace(config, exposed_ports=ports)


def _volume(config: ContainerConfig, text: str) -> ContainerConfig:
    paths = _exec_form(text) or text.split()
    if not paths:
        raise InvalidChange("VOLUME requires at least one argument")
    return replace(config, volumes={**(config.volumes or {}), **{p: Empty() for p in paths}})


def _single(name: str, text: str) -> str:
    if not text:
        raise InvalidChange(f"{name} requires exactly one argument")
    return text


def _user(config: ContainerConfig, text: str) -> ContainerConfig:
    return replace(config, user=_single("USER", text))


def _workdir(config: ContainerConfig, text: str) -> ContainerConfig:
    path = posixpath.join("/", config.working_dir, _single("WORKDIR", text))
    return replace(config, working_dir=posixpath.normpath(path))


def _stop_signal(config: ContainerConfig, text: str) -> ContainerConfig:
    if not _single("STOPSIGNAL", text).isdigit():  # A number is judged where it is used.
        parse_signal(text)
    return replace(config, stop_signal=text)


def _on_build(config: ContainerConfig, text: str) -> ContainerConfig:
    word = _single("ONBUILD", text).split()[0].upper()
    if word in ("ONBUILD", "FROM", "MAINTAINER"):
        what = "Chaining ONBUILD via `ONBUILD ONBUILD`" if word == "ONBUILD" else word
        raise InvalidChange(f"{what} isn't allowed as an ONBUILD trigger")
    return replace(config, on_build=[*(config.on_build or ()), text])


def _healthcheck(config: ContainerConfig, text: str) -> ContainerConfig:
    options: dict[str, int] = {}
    while text.startswith("--"):
        option, _, text = text.partition(" ")
        key, _, value = option[2:].partition("=")
        options |= _health_option(key, value)
        text = text.strip()
    kind, _, rest = text.partition(" ")
    if kind.upper() == "NONE":
        return replace(config, healthcheck=Healthcheck(test=["NONE"]))
    if kind.upper() != "CMD":
        raise InvalidChange(f'Unknown type "{kind.upper()}" in HEALTHCHECK (try CMD)')
    if not rest.strip():
        raise InvalidChange("Missing command after HEALTHCHECK CMD")
    words = _exec_form(rest.strip())
    test = ["CMD-SHELL", rest.strip()] if words is None else ["CMD", *words]
    return replace(config, healthcheck=Healthcheck(test=test, **options))


def _health_option(key: str, value: str) -> dict[str, int]:
    try:
        if key == "retries":
            return {"retries": int(value)}
        return {_DURATIONS[key]: times.parse_duration(value)}
    except KeyError as error:
        raise InvalidChange(f"unknown flag: --{key}") from error
    except ValueError as error:
        raise InvalidChange(f"invalid value {value!r} of --{key} in HEALTHCHECK") from error


_INSTRUCTIONS: dict[str, Callable[[ContainerConfig, str], ContainerConfig]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _on_build,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
