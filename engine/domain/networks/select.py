"""Which networks a list or a prune is about. Pure."""

import re
from collections.abc import Callable, Iterable

from engine.core import times
from engine.core.filters import Filters, InvalidFilter, match_any, match_labels, require_known
from engine.core.model.network import Network
from engine.domain.networks import predefined
from engine.domain.networks.failures import InvalidDanglingFilter, InvalidTypeFilter

_LIST_KEYS = ("dangling", "driver", "id", "label", "name", "scope", "type", "idOrName")
_PRUNE_KEYS = ("label", "label!", "until")
_TRUTHS = {"1": True, "true": True, "0": False, "false": False}

Unused = Callable[[Network], bool]


def select(networks: Iterable[Network], filters: Filters, unused: Unused) -> list[Network]:
    """Return the networks that fit; `unused` tells of one without endpoints. Raises InvalidFilter and its like."""
    require_known(filters, _LIST_KEYS)
    _require_types(filters)
    dangling = _dangling(filters)
    return [n for n in networks if _fits(n, filters) and (dangling is None or dangling == _is_dangling(n, unused))]


def prunable(networks: Iterable[Network], filters: Filters, unused: Unused) -> list[Network]:
    """Return the networks that a prune removes. Raises InvalidFilter."""
    require_known(filters, _PRUNE_KEYS)
    until = _until(filters)
    return [
        n
        for n in networks
        if _is_dangling(n, unused)
        and (not until or n.created_at <= until)
        and match_labels(filters.get("label", ()), n.labels)
        and not any(match_labels([unwanted], n.labels) for unwanted in filters.get("label!", ()))
    ]


def _fits(network: Network, filters: Filters) -> bool:
    kind = "builtin" if predefined.is_predefined(network.name) else "custom"
    return (
        match_any(filters, "driver", network.driver.__eq__)
        and match_any(filters, "scope", network.scope.__eq__)
        and match_any(filters, "type", kind.__eq__)
        and match_any(filters, "id", lambda text: _matches(text, network.id))
        and match_any(filters, "name", lambda text: _matches(text, network.name))
        and match_any(filters, "idOrName", lambda text: text == network.name or network.id.startswith(text))
        and match_labels(filters.get("label", ()), network.labels)
    )


def _matches(pattern: str, text: str) -> bool:
    """Docker takes names and ids as regular expressions, found anywhere."""
    try:
        return pattern == text or re.search(pattern, text) is not None
    except re.error:
        return False


def _require_types(filters: Filters) -> None:
    for value in filters.get("type", ()):
        if value not in ("builtin", "custom"):
            raise InvalidTypeFilter(value)


def _dangling(filters: Filters) -> bool | None:
    values = filters.get("dangling")
    if not values:
        return None
    if len(values) != 1 or values[0].lower() not in _TRUTHS:
        raise InvalidDanglingFilter
    return _TRUTHS[values[0].lower()]


def _is_dangling(network: Network, unused: Unused) -> bool:
    return not predefined.is_predefined(network.name) and unused(network)


def _until(filters: Filters) -> int:
    values = filters.get("until", [])
    if len(values) > 1:
        raise InvalidFilter("until=" + " ".join(values))
    try:
        return times.parse_instant(values[0]) if values else 0
    except ValueError as error:
        raise InvalidFilter(f"until={values[0]}") from error
