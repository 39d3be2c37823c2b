"""What the build cache consists of, as `docker buildx du` and `docker system df` show it."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.core.errors import InvalidParameter
from engine.domain.builder.cache import BuildCache, CacheRecord
from engine.domain.builder.ops.cache_mounts import KIND as CACHE_MOUNT
from engine.domain.builder.ops.cache_mounts import CacheMounts
from engine.domain.builder.snapshot import Snapshots
from engine.domain.images.garbage import Garbage

LOCAL = "source.local"
_BUILD = "build "
_SELECTOR = re.compile(r"\s*([a-z]+)\s*(?:(==|!=|~=)\s*(\"(?:[^\"\\]|\\.)*\"|[^,]*))?\s*")


class InvalidCacheFilter(InvalidParameter):
    """A filter that cannot be read."""

    def __init__(self, text: str) -> None:
        super().__init__(f"failed to parse prune filters [{text}]: invalid argument")


@dataclass(frozen=True, slots=True)
class Usage:
    """A record of the cache. `size` in bytes, times in ns since the epoch; `mutable`: not a finished tree."""

    id: str
    kind: str
    description: str
    size: int
    parents: Sequence[str] = ()
    in_use: bool = False
    shared: bool = False
    mutable: bool = False
    created: int = 0
    used_at: int = 0
    uses: int = 0


class OtherUsage(Protocol):
    """Something else that the cache consists of: copies of clients' directories."""

    async def usage(self) -> Sequence[Usage]:
        """Return what there is."""
        ...

    async def remove(self, ids: Sequence[str]) -> None:
        """Delete it. Raises OSError."""
        ...


class CacheUsage:
    """Looks at the cache."""

    def __init__(self, cache: BuildCache, snapshots: Snapshots, mounts: CacheMounts, garbage: Garbage) -> None:
        self._cache = cache
        self._snapshots = snapshots
        self._mounts = mounts
        self._garbage = garbage
        self.others: list[OtherUsage] = []

    async def all(self) -> list[Usage]:
        """Return all records, measured where they were not yet. Raises OSError."""
        busy, imaged = self._busy(), self._garbage.image_chains()
        found = await asyncio.gather(*[self._of(record, busy, imaged) for record in self._cache.all()])
        for other in self.others:
            found += await other.usage()
        return found

    def _busy(self) -> set[str]:
        """Return the places of layers that builds under way have come by."""
        kept = self._garbage.kept.items()
        return {chain for holder, needs in kept if holder.startswith(_BUILD) for chain in needs.chains}

    async def _of(self, record: CacheRecord, busy: set[str], imaged: set[str]) -> Usage:
        own = self._cache.own_layers(record)
        if record.directory:
            size = await self._mounts.size(record)
        else:
            size = sum([await self._snapshots.size(layer) for layer in own])
        return Usage(
            id=record.id,
            kind=record.kind,
            description=record.description,
            size=size,
            parents=[parent for parent in record.parents if self._cache.by_id(parent) is not None],
            in_use=bool(self._cache.in_use[record.id]) or any(layer.place in busy for layer in own),
            shared=any(layer.place in imaged for layer in own),
            mutable=record.kind == CACHE_MOUNT,
            created=record.created,
            used_at=record.used_at,
            uses=record.uses,
        )


_FIELDS: Mapping[str, Callable[[Usage], str | bool]] = {
    "id": lambda usage: usage.id,
    "description": lambda usage: usage.description,
    "type": lambda usage: usage.kind,
    "inuse": lambda usage: usage.in_use,
    "mutable": lambda usage: usage.mutable,
    "immutable": lambda usage: not usage.mutable,
    "shared": lambda usage: usage.shared,
    "private": lambda usage: not usage.shared,
}


def matches(usage: Usage, filters: Sequence[str]) -> bool:
    """Tell whether any of the filters, each a list of conditions, fits; none fits all. Raises InvalidCacheFilter.

    The grammar is containerd's: `type==regular,inuse`, `id~=^abc`.
    """
    wanted = [text for text in filters if text.strip()]
    fitting = [_fits(usage, text) for text in wanted]  # All of them: a wrong one is an error wherever it stands.
    return not wanted or any(fitting)


def _fits(usage: Usage, text: str) -> bool:
    at, fits = 0, True
    while at < len(text):
        match = _SELECTOR.match(text, at)
        if match is None or match.end() not in (len(text), text.find(",", match.end())):
            raise InvalidCacheFilter(text)
        fits = _holds(usage, match[1], match[2] or "", _unquoted(match[3] or ""), text) and fits
        at = match.end() + 1
    return fits


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') and text.endswith('"') else text.strip()


def _holds(usage: Usage, field: str, operator: str, value: str, text: str) -> bool:
    if field in ("parent", "parents"):
        return _compared(" ".join(usage.parents), operator, value, text) if operator else bool(usage.parents)
    if field not in _FIELDS:
        return False
    found = _FIELDS[field](usage)
    if isinstance(found, bool):
        return found if not operator else (found == (value in ("1", "true"))) == (operator == "==")
    return _compared(found, operator, value, text)


def _compared(found: str, operator: str, value: str, text: str) -> bool:
    if operator == "==":
        return found == value
    if operator == "!=":
        return found != value
    if operator == "~=":
        try:
            return re.search(value, found) is not None
        except re.error as error:
            raise InvalidCacheFilter(text) from error
    return bool(found)
