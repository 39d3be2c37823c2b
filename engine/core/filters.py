"""The `filters` of list, prune and events calls: a mapping of a key to the values that a client gave for it.

Values of one key are alternatives (labels excepted: all must match); keys are cumulative.
"""

from collections.abc import Callable, Iterable, Mapping

from engine.core.errors import InvalidParameter

Filters = Mapping[str, list[str]]


class InvalidFilter(InvalidParameter):
    """An unknown key, or a value that its key does not take."""

    def __init__(self, what: str, reason: str = "") -> None:
        super().__init__(f"invalid filter '{what}'{': ' + reason if reason else ''}")


def require_known(filters: Filters, known: Iterable[str]) -> None:
    """Raise InvalidFilter for the first key that is not in `known`."""
    accepted = set(known)
    for key in filters:
        if key not in accepted:
            raise InvalidFilter(key)


def boolean(filters: Filters, key: str, default: bool | None = None) -> bool | None:
    """Return the one truth value of `key`, or `default` where it is absent. Raises InvalidFilter."""
    values = filters.get(key)
    if not values:
        return default
    truths = {_truth(v) for v in values}
    if None in truths or len(truths) != 1:
        raise InvalidFilter(f"{key}=[{' '.join(values)}]")
    return truths.pop()


def _truth(value: str) -> bool | None:
    return {"1": True, "true": True, "0": False, "false": False}.get(value.lower())


def match_labels(wanted: Iterable[str], labels: Mapping[str, str] | None) -> bool:
    """Tell whether every wanted `key` or `key=value` is among the labels."""
    have = labels or {}
    return all(_has_label(w, have) for w in wanted)


def _has_label(wanted: str, have: Mapping[str, str]) -> bool:
    key, equals, value = wanted.partition("=")
    return key in have and (not equals or have[key] == value)


def match_any(filters: Filters, key: str, predicate: Callable[[str], bool]) -> bool:
    """Tell whether `key` is not asked for, or one of its values satisfies the predicate."""
    values = filters.get(key)
    return not values or any(predicate(v) for v in values)
