"""Events in Docker's JSON."""

from typing import Any

from engine.core.model.event import Event, EventType

_SECOND = 1_000_000_000
# The fields of events before there were types; gone with API 1.52.
_LEGACY_UNTIL = (1, 52)
_LEGACY_TYPES = (EventType.CONTAINER, EventType.IMAGE)


def encode_event(event: Event, version: tuple[int, int]) -> dict[str, Any]:
    """Return one event."""
    return {
        **(_legacy(event) if version < _LEGACY_UNTIL and event.type in _LEGACY_TYPES else {}),
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.actor, "Attributes": dict(sorted(event.attributes.items()))},
        "scope": event.scope,
        "time": event.time // _SECOND,
        "timeNano": event.time,
    }


def _legacy(event: Event) -> dict[str, str]:
    image = event.attributes.get("image", "") if event.type is EventType.CONTAINER else ""
    found = {"status": event.action, "id": event.actor, "from": image}
    return {key: value for key, value in found.items() if value}
