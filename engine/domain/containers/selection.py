"""Which containers a list or a prune means: filters, limits, order. Pure."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from engine.core import times
from engine.core.errors import Internal, InvalidParameter, NotFound
from engine.core.filters import Filters, InvalidFilter, boolean, match_any, match_labels, require_known
from engine.core.model.container import Container, Status
from engine.domain.containers.network_modes import is_port

_LIST_KEYS = (
    *("ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name", "network"),
    *("publish", "since", "status", "volume"),
)
_PRUNE_KEYS = ("label", "label!", "until")
_STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
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


class InvalidFilterPort(Internal):
    """Not a port; dockerd answers 500."""

    def __init__(self, key: str, text: str, number: str) -> None:
        super().__init__(
            f'error while looking up for {key} {text}: strconv.ParseUint: parsing "{number}": invalid syntax'
        )


class InvalidLimit(InvalidParameter):
    """`until` of a prune is no time."""

    def __init__(self, text: str) -> None:
        super().__init__(f'failed to parse value as time or duration: "{text}"')


class ManyLimits(InvalidParameter):
    """`until` twice."""

    def __init__(self) -> None:
        super().__init__("more than one until filter specified")


Predicate = Callable[[Container], bool]


def select(containers: Iterable[Container], listing: Listing, image_id: Callable[[str], str | None]) -> list[Container]:
    """Return the containers that a listing means, newest first. `image_id` resolves an image reference.

    Raises InvalidFilter.
    """
    filters = listing.filters
    require_known(filters, _LIST_KEYS)
    _require_valid(filters)
    everything = sorted(containers, key=lambda c: c.created_at, reverse=True)
    wide = listing.all or listing.last > 0 or bool(filters.get("status"))
    tests = _predicates(filters, everything, image_id)
    chosen = [c for c in everything if (wide or c.state.running) and all(test(c) for test in tests)]
    return chosen[: listing.last] if listing.last > 0 else chosen


def _require_valid(filters: Filters) -> None:
    for status in filters.get("status", ()):
        if status not in _STATES:
            raise InvalidFilter(f"status={status}", _must_be("state", status, _STATES))
    for health in filters.get("health", ()):
        if health not in _HEALTH:
            raise InvalidFilter(f"health={health}", _must_be("health", health, _HEALTH))
    for code in filters.get("exited", ()):
        if not re.fullmatch(r"[+-]?\d+", code):
            raise InvalidFilter(f"exited={code}", f'strconv.Atoi: parsing "{code}": invalid syntax')


def _must_be(what: str, value: str, choices: Iterable[str]) -> str:
    return f"invalid value for {what} ({value}): must be one of {', '.join(choices)}"


def _predicates(
    filters: Filters, everything: Sequence[Container], image_id: Callable[[str], str | None]
) -> list[Predicate]:
    ancestors = {image_id(name) for name in filters.get("ancestor", ())}
    published, exposed = parse_ports(filters, "publish"), parse_ports(filters, "expose")
    tests: list[Predicate] = [
        lambda c: match_any(filters, "id", lambda prefix: bool(prefix) and c.id.startswith(prefix)),
        lambda c: match_any(filters, "name", lambda pattern: _matches_name(pattern, c.name)),
        lambda c: match_any(filters, "status", lambda s: c.state.status == s),
        lambda c: match_any(filters, "exited", lambda code: _exited_with(c, int(code))),
        lambda c: match_any(filters, "health", lambda h: (c.state.health.status if c.state.health else "none") == h),
        lambda c: match_labels(filters.get("label", ()), c.config.labels),
        lambda c: not ancestors or c.image in ancestors,
        lambda c: match_any(filters, "network", lambda n: _on_network(c, n)),
        lambda c: match_any(filters, "volume", lambda v: any(v in (m.name, m.destination, m.source) for m in c.mounts)),
        lambda c: published is None or not published.isdisjoint(_public_ports(c)),
        lambda c: exposed is None or not exposed.isdisjoint(_private_ports(c)),
        lambda _: boolean(filters, "is-task", default=False) is not True,
    ]
    if before := [_peer(r, everything).created_at for r in filters.get("before", ())]:
        tests.append(lambda c: c.created_at < max(before))
    if since := [_peer(r, everything).created_at for r in filters.get("since", ())]:
        tests.append(lambda c: c.created_at > min(since))
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
    return any(wanted == name or (wanted and e.network_id.startswith(wanted)) for name, e in container.networks.items())


def parse_ports(filters: Filters, key: str) -> frozenset[str] | None:
    """Return the ports (`80/tcp`) that `80`, `80/udp` or `80-90/tcp` mean; None where not asked.

    Raises InvalidFilterPort.
    """
    texts = filters.get(key)
    if not texts:
        return None
    ports: set[str] = set()
    for text in texts:
        numbers, _, protocol = text.partition("/")
        first, dash, last = numbers.partition("-")
        for number in (first, last) if dash else (first,):
            if not is_port(number):
                raise InvalidFilterPort(key, text, number)
        ports.update(f"{n}/{protocol or 'tcp'}" for n in range(int(first), int(last or first) + 1))
    return frozenset(ports)


def _public_ports(container: Container) -> Iterable[str]:
    for port, bindings in container.sandbox.ports.items():
        protocol = port.partition("/")[2]
        yield from (f"{b.host_port}/{protocol}" for b in bindings or ())


def _private_ports(container: Container) -> Iterable[str]:
    return {*(container.config.exposed_ports or ()), *container.sandbox.ports}


def _peer(reference: str, everything: Sequence[Container]) -> Container:
    name = reference.removeprefix("/")
    for container in everything:
        if container.name == name or container.id.startswith(reference):
            return container
    raise NoSuchPeer(reference)


def prunable(containers: Iterable[Container], filters: Filters) -> list[Container]:
    """Return the containers that a prune removes. Raises InvalidFilter."""
    require_known(filters, _PRUNE_KEYS)
    limits = filters.get("until", ())
    if len(limits) > 1:
        raise ManyLimits
    until = _instant(limits[0]) if limits else None
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
        raise InvalidLimit(text) from error
