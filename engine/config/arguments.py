"""The command line, read as dockerd's flag library (spf13/pflag) reads it."""

from collections.abc import Iterator
from typing import Any

from engine.config.failures import InvalidArgument, MissingArgument, UnknownFlag, UnknownShorthand, UsageError
from engine.config.options import BY_FLAG, BY_SHORT, Option


class _Arguments:
    """Arguments not yet read."""

    def __init__(self, arguments: list[str]) -> None:
        self._rest: Iterator[str] = iter(arguments)
        self.given: dict[str, Any] = {}
        self.extra: list[str] = []

    def read(self) -> None:
        for argument in self._rest:
            if argument == "--":
                self.extra.extend(self._rest)
            elif argument.startswith("--"):
                self._long(argument)
            elif argument.startswith("-") and len(argument) > 1:
                self._short(argument)
            else:
                self.extra.append(argument)

    def _long(self, argument: str) -> None:
        name, equals, value = argument[2:].partition("=")
        option = BY_FLAG.get(name)
        if option is None:
            raise UnknownFlag(f"--{name}")
        if not equals:
            value = self._value_of(option, f"--{name}")
        self._set(option, value)

    def _short(self, argument: str) -> None:
        letters = argument[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            option = BY_SHORT.get(letter)
            if option is None:
                raise UnknownShorthand(letter, argument)
            if letters.startswith("="):
                value, letters = letters[1:], ""
            elif not option.kind.placeholder:
                value = "true"
            elif letters:
                value, letters = letters, ""
            else:
                value = self._value_of(option, f"'{letter}' in {argument}")
            self._set(option, value)

    def _value_of(self, option: Option, shown: str) -> str:
        if not option.kind.placeholder:
            return "true"
        value = next(self._rest, None)
        if value is None:
            raise MissingArgument(shown)
        return value

    def _set(self, option: Option, value: str) -> None:
        previous = self.given.get(option.flag, option.kind.empty())
        try:
            self.given[option.flag] = option.kind.parse(value, previous)
        except ValueError as error:
            raise InvalidArgument(value, option.shown, str(error)) from None


def parse(arguments: list[str]) -> dict[str, Any]:
    """Return the values of the flags given, by flag. Raises UsageError."""
    reader = _Arguments(arguments)
    reader.read()
    if reader.extra and not reader.given.get("help"):
        raise UsageError('"wharfd" accepts no arguments.')
    return reader.given
