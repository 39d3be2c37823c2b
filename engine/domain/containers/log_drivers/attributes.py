"""What a log says of its container: the labels and variables that options choose, and the tag. Pure.

All of it is looked at when the container starts. Source: moby, `daemon/logger/loginfo.go`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from engine.core import ids, times
from engine.core.go_template import Template
from engine.core.model.container import Container

ATTRIBUTE_OPTIONS = ("labels", "labels-regex", "env", "env-regex", "tag")
_DAEMON = "docker"
_REGEX_PROBLEMS = (
    ("missing )", "missing closing )"),
    ("unbalanced parenthesis", "unexpected )"),
    ("unterminated character set", "missing closing ]"),
    ("nothing to repeat", "missing argument to repetition operator"),
    ("multiple repeat", "invalid nested repetition operator"),
)
# Python has these, Go's RE2 does not.
_PERL = re.compile(r"\(\?(?:[=!]|<[=!])")


def selected(container: Container, rename: Callable[[str], str] = str) -> dict[str, str]:
    """Return the labels and variables that the log options choose. Raises ValueError for a wrong expression."""
    options = container.host_config.log_config.config or {}
    variables = dict(e.split("=", 1) for e in container.config.env or () if "=" in e)
    chosen: dict[str, str] = {}
    for option, values in (("labels", container.config.labels or {}), ("env", variables)):
        names = [name for name in options.get(option, "").split(",") if name in values]
        expression = options.get(f"{option}-regex", "")
        if expression and (values or option == "labels"):  # dockerd reads the other one only where it has a use.
            pattern = _compiled(expression)
            names += [name for name in values if pattern.search(name)]
        chosen |= {rename(name): values[name] for name in names}
    return chosen


def _compiled(expression: str) -> re.Pattern[str]:
    perl = _PERL.search(expression)
    if perl:
        raise ValueError(f"error parsing regexp: invalid or unsupported Perl syntax: `{perl[0]}`")
    try:
        return re.compile(expression)
    except re.error as error:
        problem = next((go for ours, go in _REGEX_PROBLEMS if ours in error.msg), error.msg)
        raise ValueError(f"error parsing regexp: {problem}: `{expression}`") from error


def tag(container: Container, default: str = "{{.ID}}") -> str:
    """Return the tag that the option `tag` makes. Raises ValueError for a wrong template."""
    template = (container.host_config.log_config.config or {}).get("tag") or default
    return Template("log-tag", template).render(_Information(container), "*logger.Info") if template else ""


def details(container: Container) -> str:
    """Return what `docker logs --details` shows before each line: `key=value` pairs, as in a URL, and a blank.

    Wrong options have been told at the start: here they choose nothing.
    """
    try:
        chosen = selected(container)
        given = tag(container, "")
    except ValueError:
        return " "
    chosen |= {"tag": given} if given else {}
    return ",".join(f"{_escaped(k)}={_escaped(v)}" for k, v in sorted(chosen.items())) + " "


def _escaped(text: str) -> str:
    """Escape as Go's `url.QueryEscape`."""
    plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~"
    return "".join("+" if c == " " else c if c in plain else _percent(c) for c in text)


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode(errors="surrogateescape"))


def information(container: Container) -> dict[str, Any]:
    """Return the container as log plugins are told of it (`Info` of their protocol)."""
    config = container.config
    return {
        "Config": container.host_config.log_config.config or {},
        "ContainerID": container.id,
        "ContainerName": f"/{container.name}",
        "ContainerEntrypoint": container.path,
        "ContainerArgs": list(container.args),
        "ContainerImageID": container.image,
        "ContainerImageName": config.image,
        "ContainerCreated": times.rfc3339(container.created_at),
        "ContainerEnv": list(config.env or ()),
        "ContainerLabels": config.labels or {},
        "LogPath": "",
        "DaemonName": _DAEMON,
    }


def command(container: Container) -> str:
    """Return the whole command in one line."""
    return " ".join([container.path, *container.args])


class _Information(Mapping[str, Any]):
    """The fields and methods that a template may name."""

    def __init__(self, container: Container) -> None:
        self._values: dict[str, Any] = {
            **information(container),
            "LogPath": container.log_path,
            "ID": ids.short(container.id),
            "FullID": container.id,
            "Name": container.name,
            "ImageID": container.image[:12],
            "ImageFullID": container.image,
            "ImageName": container.config.image,
            "Command": command(container),
        }

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
