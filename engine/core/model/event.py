"""What happened: the messages of `docker events`."""

from enum import StrEnum

from msgspec import Struct


class EventType(StrEnum):
    """The kinds of object that events speak of."""

    BUILDER = "builder"
    CONTAINER = "container"
    DAEMON = "daemon"
    IMAGE = "image"
    NETWORK = "network"
    PLUGIN = "plugin"
    VOLUME = "volume"


class Event(Struct, frozen=True, kw_only=True):
    """One event; `time` in nanoseconds since the epoch, unique and increasing."""

    type: EventType
    action: str
    actor: str
    attributes: dict[str, str]
    time: int
    scope: str = "local"
