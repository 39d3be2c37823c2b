"""Which volumes a list or a prune means. Pure."""

import re
from collections.abc import Callable, Iterable

from engine.core.filters import Filters, boolean, match_any, match_labels, require_known
from engine.core.model.volume import Volume
from engine.domain.volumes.failures import InvalidAllFilter
from engine.domain.volumes.request import ANONYMOUS_LABEL

_LIST_KEYS = ("dangling", "driver", "label", "name")
_PRUNE_KEYS = ("all", "label", "label!")
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


def select(volumes: Iterable[Volume], filters: Filters, in_use: Callable[[str], bool]) -> list[Volume]:
    """Return the volumes that a list means, by name. Raises InvalidFilter."""
    require_known(filters, _LIST_KEYS)
    dangling = boolean(filters, "dangling")
    return sorted(
        (v for v in volumes if _matches(v, filters) and (dangling is None or in_use(v.name) is not dangling)),
        key=lambda v: v.name,
    )


def _matches(volume: Volume, filters: Filters) -> bool:
    return (
        match_any(filters, "name", lambda pattern: _matches_name(pattern, volume.name))
        and match_any(filters, "driver", lambda driver: driver == volume.driver)
        and match_labels(filters.get("label", ()), volume.labels)
    )


def _matches_name(pattern: str, name: str) -> bool:
    """A pattern is a regular expression, as in Moby; one that is none is taken literally."""
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return pattern in name


def prunable(volumes: Iterable[Volume], filters: Filters, *, everything: bool) -> list[Volume]:
    """Return the volumes that a prune means, in use or not: anonymous ones, or all where `everything` or `all` says so.

    Volumes with options stay, as with Moby: their data is not here. Raises InvalidFilter, InvalidAllFilter.
    """
    require_known(filters, _PRUNE_KEYS)
    wide = _wants_all(filters) or everything
    return [
        v
        for v in volumes
        if (wide or ANONYMOUS_LABEL in (v.labels or {}))
        and not v.options
        and match_labels(filters.get("label", ()), v.labels)
        and not any(match_labels((w,), v.labels) for w in filters.get("label!", ()))
    ]


def _wants_all(filters: Filters) -> bool:
    values = filters.get("all", [])
    for value in values:
        if value not in _TRUE and value not in _FALSE:
            raise InvalidAllFilter(value)
    return any(v in _TRUE for v in values)
