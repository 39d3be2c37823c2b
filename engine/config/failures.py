"""What can be wrong with settings, in dockerd's words."""

from collections.abc import Sequence


class ConfigError(Exception):
    """The settings cannot be used; the text says why."""


class UsageError(ConfigError):
    """The command line itself is wrong."""


class UnknownFlag(UsageError):
    """A flag that does not exist."""

    def __init__(self, flag: str) -> None:
        super().__init__(f"unknown flag: {flag}")


class UnknownShorthand(UsageError):
    """A one-letter flag that does not exist."""

    def __init__(self, letter: str, argument: str) -> None:
        super().__init__(f"unknown shorthand flag: '{letter}' in {argument}")


class MissingArgument(UsageError):
    """A flag at the end that wants a value."""

    def __init__(self, flag: str) -> None:
        super().__init__(f"flag needs an argument: {flag}")


class InvalidArgument(UsageError):
    """A value that its flag does not take."""

    def __init__(self, value: str, flag: str, reason: str) -> None:
        super().__init__(f'invalid argument "{value}" for "{flag}" flag: {reason}')


class FileError(ConfigError):
    """`daemon.json` cannot be used."""

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(f"unable to configure the Docker daemon with file {path}: {reason}")


class Mismatch(Exception):
    """A JSON value of another type than its key has: what it is, where it stands, what was wanted."""

    def __init__(self, found: str, where: str, wanted: str) -> None:
        super().__init__(f"json: cannot unmarshal {found} into {where} of type {wanted}")


def unknown_keys(keys: Sequence[str]) -> str:
    """Say which keys no option has."""
    return f"the following directives don't match any configuration option: {', '.join(keys)}"


def conflicting(conflicts: Sequence[tuple[str, str, str]]) -> str:
    """Say which keys were given twice: each with the flag's and the file's value."""
    listed = ", ".join(f"{key}: (from flag: {flag}, from file: {file})" for key, flag, file in conflicts)
    return f"the following directives are specified both as a flag and in the configuration file: {listed}"
