"""`(did you mean X?)`: the nearest of some names, by edit distance. Pure."""

from collections.abc import Iterable

_FAR = 3


def nearest(name: str, options: Iterable[str], *, exact_case: bool = False) -> str:
    """Return the option that is nearest to a name, empty where none is near or one is equal."""
    wanted = name if exact_case else name.lower()
    best, distance = "", _FAR
    for option in options:
        found = option if exact_case else option.lower()
        if found == wanted:
            return ""
        if abs(len(found) - len(wanted)) < distance and (away := _distance(wanted, found)) < distance:
            best, distance = found, away
    return best if exact_case else _cased(best, name)


def did_you_mean(name: str, options: Iterable[str], *, exact_case: bool = False) -> str:
    """Return the remark to append to an error, empty where no option is near."""
    found = nearest(name, options, exact_case=exact_case)
    return f" (did you mean {found}?)" if found else ""


def _cased(found: str, like: str) -> str:
    return found.upper() if like == like.upper() and like != like.lower() else found


def _distance(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]
