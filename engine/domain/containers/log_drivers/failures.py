"""What is wrong with log drivers and their options, with dockerd's texts."""

from engine.core.errors import InvalidParameter


class UnknownLogDriver(InvalidParameter):
    """No log driver of that name can be used."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"error looking up logging plugin {name}: {reason}")


class UnknownLogOption(InvalidParameter):
    """The driver has no such option."""

    def __init__(self, option: str, driver: str) -> None:
        super().__init__(_UNKNOWN.get(driver, "unknown log opt '{}' for {} log driver").format(option, driver))


_UNKNOWN = {
    "local": "unknown log opt '{}' for log driver {}",
    "gelf": 'unknown log opt "{}" for {} log driver',
}


class InvalidLogOption(InvalidParameter):
    """An option's value makes no sense."""


def bad_default(error: InvalidParameter) -> InvalidLogOption:
    """Return what a daemon that does not start says of its own log driver."""
    return InvalidLogOption(f"failed to set log opts: failed to set log opts: {error}")
