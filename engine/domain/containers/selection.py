"""Which containers a list or a prune means: filters, limits, order. Pure."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from engine.core import times
from engine.core.errors import NotFound
from engine.core.filters import Filters, InvalidFilter, boolean, match_any, match_labels, require_known
from engine.core.model.container import Container, Status

_LIST_KEYS = (
    "ancestor before exited expose health id is-task isolation label label! name network publish since status volume"
).split()
_PRUNE_KEYS = ("label", "label!", "until")
_HEALTH = ("none", "starting", "healthy", "unhealthy")


@dataclass(frozen=True, slots=True)
class Listing:
    """What a client asks for: `last` is the number of newest ones to return, running or not (0: no limit)."""

    all: bool = False
    last: int = 0
    filters: Filters = field(default_factory=dict)


class NoSuchPeer(NotFound):
    """`before` or `since` names a container that does not exist."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"No such container: {reference}")


Predicate = Callable[[Container], bool]


def select(containers: Iterable[Container], listing: Listing, image_id: Callable[[str], str | None]) -> list[Container]:
    """Return the containers that a listing means, newest first. `image_id` resolves an image reference.

    Raises InvalidFilter.
    """
    filters = listing.filters
    require_known(filters, _LIST_KEYS)
    _require_valid(filters)
    everything = sorted(containers, key=lambda c: c.created_at, reverse=True)
    wide = listing.all or listing.last > 0 or bool(filters.get("status")) or bool(filters.get("exited"))
    tests = _predicates(filters, everything, image_id)
    chosen = [c for c in everything if (wide or c.state.running) and all(test(c) for test in tests)]
    return chosen[: listing.last] if listing.last > 0 else chosen


def _require_valid(filters: Filters) -> None:
    for status in filters.get("status", ()):
        if status not in {*Status}:
            raise InvalidFilter(f"status={status}")
    for health in filters.get("health", ()):
        if health not in _HEALTH:
            raise InvalidFilter(f"health={health}")
    for code in filters.get("exited", ()):
        if not re.fullmatch(r"[+-]?\d+", code):
            raise InvalidFilter(f'exited={code}\': strconv.Atoi: parsing "{code}": invalid syntax')


def _predicates(
    filters: Filters, everything: Sequence[Container], image_id: Callable[[str], str | None]
) -> list[Predicate]:
    ancestors = {image_id(name) or name for name in filters.get("ancestor", ())}
    tests: list[Predicate] = [
        lambda c: match_any(filters, "id", c.id.startswith),
        lambda c: match_any(filters, "name", lambda pattern: _matches_name(pattern, c.name)),
        lambda c: match_any(filters, "status", lambda s: c.state.status == s),
        lambda c: match_any(filters, "exited", lambda code: _exited_with(c, int(code))),
        lambda c: match_any(filters, "health", lambda h: (c.state.health.status if c.state.health else "none") == h),
        lambda c: match_labels(filters.get("label", ()), c.config.labels),
        lambda c: all(not match_labels((w,), c.config.labels) for w in filters.get("label!", ())),
        lambda c: not ancestors or c.image in ancestors or c.config.image in ancestors,
        lambda c: match_any(filters, "network", lambda n: _on_network(c, n)),
        lambda c: match_any(filters, "volume", lambda v: any(v in (m.name, m.destination, m.source) for m in c.mounts)),
        lambda c: match_any(filters, "publish", lambda p: _port(p) in (c.host_config.port_bindings or {})),
        lambda c: match_any(filters, "expose", lambda p: _port(p) in (c.config.exposed_ports or {})),
        lambda _: boolean(filters, "is-task", default=False) is not True,
    ]
    for key, keep in (("before", _older), ("since", _newer)):
        for reference in filters.get(key, ()):
            tests.append(keep(_peer(reference, everything)))
    return tests


def _matches_name(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, f"/{name}") is not None or re.search(pattern, name) is not None
    except re.error:
        return pattern in name


def _exited_with(container: Container, code: int) -> bool:
    state = container.state
    return not state.running and state.status is not Status.CREATED and state.exit_code == code


def _on_network(container: Container, wanted: str) -> bool:
    return any(wanted == name or e.network_id.startswith(wanted) for name, e in container.networks.items())


def _port(text: str) -> str:
    return text if "/" in text else f"{text}/tcp"


def _peer(reference: str, everything: Sequence[Container]) -> Container:
    name = reference.removeprefix("/")
    for container in everything:
        if container.name == name or container.id.startswith(reference):
            return container
    raise NoSuchPeer(reference)


def _older(peer: Container) -> Predicate:
    return lambda c: c.created_at < peer.created_at


def _newer(peer: Container) -> Predicate:
    return lambda c: c.created_at > peer.created_at


def prunable(containers: Iterable[Container], filters: Filters) -> list[Container]:
    """Return the containers that a prune removes. Raises InvalidFilter."""
    require_known(filters, _PRUNE_KEYS)
    until = min((_instant(u) for u in filters.get("until", ())), default=None)
    return [
        c
        for c in containers
        if not c.state.running
        and c.state.status is not Status.REMOVING
        and (until is None or c.created_at < until)
        and match_labels(filters.get("label", ()), c.config.labels)
        and all(not match_labels((w,), c.config.labels) for w in filters.get("label!", ()))
    ]


def _instant(text: str) -> int:
    try:
        return times.parse_instant(text)
    except ValueError as error:
        raise InvalidFilter(f"until={text}") from error
