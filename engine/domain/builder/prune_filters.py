"""The filters of `POST /build/prune`, as the builder's own cache manager wants them."""

from collections.abc import Sequence

from engine.core import times
from engine.core.errors import InvalidParameter
from engine.core.filters import Filters

_AGES = ("until", "unused-for")
_FIELDS = ("id", "parent", "type", "description", "inuse", "shared", "private")
_KNOWN = (*_FIELDS, *_AGES, "label")


class UnusableFilter(InvalidParameter):
    """A filter with a value, or with more of them, than it takes."""


class UnusablePruneFilters(InvalidParameter):
    """Filters that the cache does not understand."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"failed to prune build cache: {reason}")


def read_filters(filters: Filters) -> tuple[Sequence[str], int]:
    """Return the conditions on records, and for how long (ns) one must not have been used. Raises UnusablePruneFilters.

    `label` is taken, and means nothing, as dockerd has it.
    """
    for name in filters:
        if name not in _KNOWN:
            raise UnusablePruneFilters(f"invalid filter '{name}'")
    try:
        return conditions_and_age(filters)
    except UnusableFilter as error:
        raise UnusablePruneFilters(str(error)) from error


def conditions_and_age(filters: Filters) -> tuple[Sequence[str], int]:
    """As `read_filters`, overlooking what is not known. Raises UnusableFilter."""
    age = _age(filters)
    conditions = ",".join(_condition(name, filters[name]) for name in _FIELDS if name in filters)
    return [conditions] if conditions else [], age


def _age(filters: Filters) -> int:
    given = [name for name in _AGES if filters.get(name)]
    if len(given) > 1:
        raise UnusableFilter('conflicting filters: "until" and "unused-for"')
    if not given:
        return 0
    text = _only(filters[given[0]])
    try:
        return max(_duration(text), 0)
    except (ValueError, OverflowError) as error:
        raise UnusableFilter(
            f"\"{given[0]}\" filter expects a duration (e.g., '24h') or a timestamp: "
            f'failed to parse value as time or duration: "{text}"'
        ) from error


def _duration(text: str) -> int:
    """Return how long ago something was, that is said in either way. Raises ValueError, OverflowError."""
    try:
        return times.parse_duration(text)
    except ValueError:
        return times.now() - times.parse_instant(text)


def _condition(name: str, values: Sequence[str]) -> str:
    if not values:
        return name
    return f"{name}{'~=' if name == 'id' else '=='}{_only(values)}"


def _only(values: Sequence[str]) -> str:
    if len(values) > 1:
        raise UnusableFilter("filters expect only one value")
    return values[0]
