"""The `--name=value` words of an instruction, checked against what it knows. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.domain.builder.dockerfile.failures import InstructionWrong
from engine.domain.builder.dockerfile.parser import Line
from engine.domain.builder.dockerfile.suggest import did_you_mean

_KNOWN: Mapping[str, frozenset[str]] = {
    "from": frozenset({"platform"}),
    "copy": frozenset({"from", "chown", "chmod", "link", "parents", "exclude"}),
    "add": frozenset({"chown", "chmod", "link", "keep-git-dir", "checksum", "exclude", "unpack"}),
    "run": frozenset({"mount", "network", "security", "device"}),
    "healthcheck": frozenset({"interval", "timeout", "start-period", "start-interval", "retries"}),
}
_REPEATABLE = frozenset({"mount", "exclude", "device"})
_BOOLEAN = frozenset({"link", "parents", "keep-git-dir", "unpack"})


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags of one instruction."""

    found: Mapping[str, Sequence[str]]

    def text(self, name: str) -> str:
        """Return a flag's value, empty where it is not there."""
        return self.found[name][0] if name in self.found else ""

    def texts(self, name: str) -> Sequence[str]:
        """Return all values of a flag."""
        return self.found.get(name, ())

    def truth(self, name: str) -> bool | None:
        """Return the value of a flag without one, or None where it is not there."""
        return self.found[name][0] == "true" if name in self.found else None


def read_flags(line: Line) -> Flags:
    """Return a line's flags. Raises InstructionWrong."""
    allowed, found = _KNOWN.get(line.word.lower(), frozenset()), dict[str, list[str]]()
    for flag in line.flags:
        name, equals, value = flag[2:].partition("=")
        if name not in allowed:
            raise InstructionWrong(f"unknown flag: --{name}{did_you_mean(name, sorted(allowed))}")
        if name in found and name not in _REPEATABLE:
            raise InstructionWrong(f"duplicate flag specified: --{name}")
        found.setdefault(name, []).append(_value(name, value, given=bool(equals)))
    return Flags(found)


def _value(name: str, value: str, *, given: bool) -> str:
    if name not in _BOOLEAN:
        if not given:
            raise InstructionWrong(f"missing a value on flag: --{name}")
        return value
    if given and not value:
        raise InstructionWrong(f"missing a value on flag: --{name}")
    if given and value.lower() not in ("true", "false"):
        raise InstructionWrong(f"expecting boolean value for flag --{name}, not: {value}")
    return value.lower() or "true"
