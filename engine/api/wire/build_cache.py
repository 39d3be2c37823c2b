"""The build cache: what `POST /build/prune` takes and answers, and how `GET /system/df` shows a record."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from engine.api.wire import query
from engine.core import times
from engine.core.errors import InvalidParameter
from engine.domain.builder.prune import PruneOptions
from engine.domain.builder.prune_filters import read_filters
from engine.domain.builder.usage import Usage

Version = tuple[int, int]
_PARENTS_SINCE = (1, 42)


class NotBytes(InvalidParameter):
    """A size that is no number."""

    def __init__(self, name: str, text: str, reason: str) -> None:
        super().__init__(f"{name} is in bytes and expects an integer, got {text}: {reason}")


def decode_prune(request: web.BaseRequest) -> PruneOptions:
    """Return what may be deleted. Raises InvalidParameter with dockerd's texts."""
    kept = _size(request, "keep-storage")
    reserved, max_used = _size(request, "reserved-space"), _size(request, "max-used-space")
    min_free = _size(request, "min-free-space")
    conditions, age = read_filters(query.filters(request))
    return PruneOptions(
        all=query.boolean(request, "all"),
        filters=conditions,
        keep_duration=age,
        reserved=reserved or kept,
        max_used=max_used,
        min_free=min_free,
    )


def _size(request: web.BaseRequest, name: str) -> int:
    try:
        return max(query.integer(request, name) or 0, 0)
    except query.NotANumber as error:
        raise NotBytes(name, query.text(request, name), str(error)) from error


def encode_pruned(pruned: Sequence[Usage]) -> dict[str, Any]:
    """Return the answer: the records that have gone."""
    return {"CachesDeleted": [usage.id for usage in pruned] or None, "SpaceReclaimed": sum(u.size for u in pruned)}


def encode_cache_usage(usage: Usage, version: Version) -> dict[str, Any]:
    """Return a record. The blank in ` Parents` is Docker's."""
    parents = list(usage.parents) if version >= _PARENTS_SINCE else []
    return {
        "ID": usage.id,
        **({" Parents": parents} if parents else {}),
        "Type": usage.kind,
        "Description": usage.description,
        "InUse": usage.in_use,
        "Shared": usage.shared,
        "Size": usage.size,
        "CreatedAt": times.rfc3339(usage.created),
        "LastUsedAt": times.rfc3339(usage.used_at) if usage.used_at else None,
        "UsageCount": usage.uses,
    }
