"""Which events a client wants, by Moby's rules (its `daemon/events/filter.go`).

Keys are cumulative, the values of one key alternatives (labels: all must match). An unknown key is ignored.
"""

from collections.abc import Callable, Iterable

from engine.core import filters as core_filters
from engine.core.filters import Filters
from engine.core.model.event import Event, EventType

_NAMED = (EventType.CONTAINER, EventType.DAEMON, EventType.NETWORK, EventType.PLUGIN, EventType.VOLUME)
_OTHER_NAMED = ("node", "service", "secret", "config")
# Actions that go on behind a colon (`exec_create: sh -c …`): asked for bare, they match by prefix.
_PREFIXED = frozenset({"health_status", "exec_create", "exec_start"})

Predicate = Callable[[Event], bool]


def matcher(filters: Filters) -> Predicate:
    """Return what tells whether an event is wanted."""
    predicates = [p for p in _predicates(filters) if p is not None]
    return lambda event: all(p(event) for p in predicates)


def _predicates(filters: Filters) -> Iterable[Predicate | None]:
    yield _actions(filters.get("event"))
    yield _exactly(filters.get("type"), lambda e: e.type)
    yield _exactly(filters.get("scope"), lambda e: e.scope)
    for key in (*_NAMED, *_OTHER_NAMED):
        yield _id_or_name(filters.get(key))
    yield _images(filters.get("image"))
    yield _labels(filters.get("label"))


def _actions(wanted: list[str] | None) -> Predicate | None:
    if not wanted:
        return None
    if _PREFIXED.isdisjoint(wanted):
        return lambda event: event.action in wanted
    prefixes = tuple(wanted)
    return lambda event: event.action.startswith(prefixes)


def _exactly(wanted: list[str] | None, value: Callable[[Event], str]) -> Predicate | None:
    return (lambda event: value(event) in wanted) if wanted else None


def _id_or_name(wanted: list[str] | None) -> Predicate | None:
    """The beginning of an id or name is enough, and an event of another type may match by its own, as with Moby."""
    if not wanted:
        return None
    prefixes = tuple(wanted)
    return lambda event: event.actor.startswith(prefixes) or event.attributes.get("name", "").startswith(prefixes)


def _images(wanted: list[str] | None) -> Predicate | None:
    """Events of an image, and of containers made from it; a name without its tag is enough."""
    return (lambda event: not _image_names(event).isdisjoint(wanted)) if wanted else None


def _image_names(event: Event) -> set[str]:
    name = event.attributes.get("name" if event.type == EventType.IMAGE else "image", "")
    return {event.actor, name, _untagged(event.actor), _untagged(name)}


def _untagged(name: str) -> str:
    """Return a reference without tag and digest."""
    bare = name.partition("@")[0]
    head, colon, tag = bare.rpartition(":")
    return head if colon and "/" not in tag else bare


def _labels(wanted: list[str] | None) -> Predicate | None:
    return (lambda event: core_filters.match_labels(wanted, event.attributes)) if wanted else None
