"""What a client can give to a build: arguments, secrets and agents that its stages mention (BuildKit's outline)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from engine.domain.builder.dockerfile.failures import Lines


@dataclass(frozen=True, slots=True)
class Argument:
    """An ARG: its value as things are; `needs` are the arguments before the first stage that its default mentions."""

    name: str
    value: str | None
    description: str
    lines: Lines
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Wanted:
    """A secret or an agent that a RUN mounts."""

    name: str
    required: bool
    lines: Lines


@dataclass(slots=True)
class Outline:
    """What one stage mentions; arguments before the first stage only where it uses them."""

    arguments: dict[str, Argument] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    secrets: dict[str, Wanted] = field(default_factory=dict)
    agents: dict[str, Wanted] = field(default_factory=dict)

    def want_secret(self, name: str, lines: Lines, *, required: bool) -> None:
        """Note a secret, where it is mentioned first."""
        self.secrets.setdefault(name, Wanted(name, required, lines))

    def want_agent(self, name: str, lines: Lines, *, required: bool) -> None:
        """Note an agent, where it is mentioned first."""
        self.agents.setdefault(name, Wanted(name, required, lines))

    def shown(self) -> list[Argument]:
        """Return the arguments that count."""
        pending, seen = list(self.used), set[str]()
        while pending:
            name = pending.pop()
            if name not in seen and name in self.arguments:
                pending.extend(self.arguments[name].needs)
            seen.add(name)
        return [self.arguments[name] for name in self.arguments if name in seen]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a target and all that it needs mention, by line."""

    name: str
    description: str
    arguments: Sequence[Argument]
    secrets: Sequence[Wanted]
    agents: Sequence[Wanted]


T = TypeVar("T", Argument, Wanted)


def summarize(name: str, description: str, outlines: Iterable[Outline]) -> Summary:
    """Join the outlines of a target and of what it needs, the target's first: what is nearest counts."""
    arguments: dict[str, Argument] = {}
    secrets: dict[str, Wanted] = {}
    agents: dict[str, Wanted] = {}
    for outline in outlines:
        for argument in outline.shown():
            arguments.setdefault(argument.name, argument)
        for found, wanted in ((secrets, outline.secrets), (agents, outline.agents)):
            for key, value in wanted.items():
                found.setdefault(key, value)
    return Summary(name, description, _by_line(arguments), _by_line(secrets), _by_line(agents))


def _by_line(found: Mapping[str, T]) -> list[T]:
    return sorted(found.values(), key=lambda each: each.lines)


def comment_on(name: str, comments: Sequence[str]) -> str:
    """Return what the comments above an instruction say of a name: `# NAME …`."""
    return next((line.removeprefix(f"{name} ") for line in comments if name and line.startswith(f"{name} ")), "")
