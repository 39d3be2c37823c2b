"""Which rules the build cache's garbage collection follows: dockerd's (moby `DefaultGCPolicy`), or the user's. Pure.

By default goes first what is cheap to make again and was not used for two days, then what was not used for two months,
then what is too much, last of all also what is the builder's own.
"""

from collections.abc import Callable, Sequence

from engine.config.settings import BuilderSettings, CacheRule, CacheSizes
from engine.core import units
from engine.core.errors import InvalidParameter
from engine.domain.builder.prune import PruneOptions
from engine.domain.builder.prune_filters import conditions_and_age

_HOUR = 3600 * 10**9
_CHEAP = ("type==source.local", "type==exec.cachemount", "type==source.git.checkout")
_CHEAP_PERCENT = 13.817580227176492  # e times pi times the golden ratio.
_CHEAP_LEAST = 512 * 10**6
_RESERVED_PERCENT, _USED_PERCENT, _FREE_PERCENT = 10, 80, 20
_LABELS = ("reservedSpace", "maxUsedSpace", "minFreeSpace")


class UnusableRules(InvalidParameter):
    """Rules in `daemon.json` that make no sense."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "error initializing buildkit: error creating buildkit instance: could not get builder GC policy: " + reason
        )


def rules(settings: BuilderSettings, disk: Callable[[], int]) -> Sequence[PruneOptions]:
    """Return the rules for a disk, whose size (bytes) is asked for where it matters. Raises UnusableRules."""
    if not settings.gc:
        return ()
    bounds = _bounds(settings.sizes, [f"default{label.upper()}" for label in _LABELS])
    if settings.rules is not None:
        return tuple(_rule(rule) for rule in settings.rules)
    return _usual(bounds if any(bounds) else _shares(disk()))


def _bounds(sizes: CacheSizes, labels: Sequence[str]) -> tuple[int, int, int]:
    reserved, used, free = map(_size, (sizes.reserved, sizes.max_used, sizes.min_free), labels)
    return reserved, used, free


def _size(text: str, label: str) -> int:
    try:
        return units.ram_in_bytes(text) if text else 0
    except ValueError as error:
        raise UnusableRules(f"failed to parse {label}: {error}") from error


def _shares(disk: int) -> tuple[int, int, int]:
    return _share(disk, _RESERVED_PERCENT), _share(disk, _USED_PERCENT), _share(disk, _FREE_PERCENT)


def _share(disk: int, percent: int) -> int:
    """Return a part of the disk, rounded as dockerd does: so many GiB, and one more, in GB."""
    return (disk * percent // 100 // 2**30 + 1) * 10**9


def _usual(bounds: tuple[int, int, int]) -> Sequence[PruneOptions]:
    reserved, used, free = bounds
    cheap = max(round(reserved / 100 * _CHEAP_PERCENT), _CHEAP_LEAST)
    return (
        PruneOptions(filters=_CHEAP, keep_duration=48 * _HOUR, max_used=cheap),
        PruneOptions(keep_duration=1440 * _HOUR, reserved=reserved, max_used=used, min_free=free),
        PruneOptions(reserved=reserved, max_used=used, min_free=free),
        PruneOptions(all=True, reserved=reserved, max_used=used, min_free=free),
    )


def _rule(rule: CacheRule) -> PruneOptions:
    reserved, used, free = _bounds(rule.sizes, _LABELS)
    try:
        filters, age = conditions_and_age(rule.filters)
    except InvalidParameter as error:
        raise UnusableRules(str(error)) from error
    return PruneOptions(
        all=rule.every, filters=filters, keep_duration=age, reserved=reserved, max_used=used, min_free=free
    )
