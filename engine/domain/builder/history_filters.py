"""Filters of the history of builds, as BuildKit's clients send them: `status==error,startedAt>1h`. Pure.

Conditions behind a comma must all hold, of several filters one. Times are instants or durations before now.
"""

import csv
import operator
import re
from collections.abc import Callable, Mapping, Sequence

from engine.core import times
from engine.core.errors import InvalidParameter
from engine.core.model.build import BuildRecord

_CONDITION = re.compile(r"\s*(\w+)\s*(==|!=|~=|<=|>=|<|>)\s*(.*?)\s*")
_ORDERS: Mapping[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_REPOSITORY = ("vcs:source", "vcs:remote", "context")
_CANCELED = 1


class InvalidHistoryFilter(InvalidParameter):
    """A filter that cannot be read."""

    def __init__(self, text: str) -> None:
        super().__init__(f"failed to parse history filters [{text}]: invalid argument")


def matches(record: BuildRecord, filters: Sequence[str], now: int) -> bool:
    """Tell whether any of the filters fits; none fits all. Raises InvalidHistoryFilter."""
    fitting = [all(_holds(record, text, now) for text in next(csv.reader([each]), [])) for each in filters]
    return not filters or any(fitting)


def _holds(record: BuildRecord, text: str, now: int) -> bool:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise InvalidHistoryFilter(text)
    field, comparison, wanted = match.groups()
    if field in ("startedAt", "completedAt", "duration"):
        return _ordered(record, (field, comparison, wanted), now)
    found = _texts(record).get(field, "")
    if comparison == "~=":
        return _searched(wanted, found)
    if comparison not in ("==", "!="):
        raise InvalidHistoryFilter(text)
    return (found == wanted) == (comparison == "==")


def _texts(record: BuildRecord) -> Mapping[str, str]:
    source = next((record.options[name] for name in _REPOSITORY if record.options.get(name)), "")
    return {"ref": record.ref, "status": _status(record), "repository": source}


def _status(record: BuildRecord) -> str:
    if not record.completed:
        return "running"
    if record.failure is None:
        return "completed"
    return "canceled" if record.failure.code == _CANCELED else "error"


def _searched(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error as error:
        raise InvalidHistoryFilter(pattern) from error


def _ordered(record: BuildRecord, condition: tuple[str, str, str], now: int) -> bool:
    field, comparison, wanted = condition
    try:
        if field == "duration":
            found, bound = (record.completed or now) - record.created, times.parse_duration(wanted)
        else:
            found = record.created if field == "startedAt" else record.completed
            bound = _instant(wanted, now)
    except ValueError as error:
        raise InvalidHistoryFilter("".join(condition)) from error
    return comparison in _ORDERS and bool(found) and _ORDERS[comparison](found, bound)


def _instant(text: str, now: int) -> int:
    try:
        return now - times.parse_duration(text)
    except ValueError:
        return times.parse_instant(text)
