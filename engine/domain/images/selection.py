"""`docker images`: which images a list shows, and under which of their names."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

from engine.core import filters as core_filters
from engine.core import references, times
from engine.core.errors import WharfError
from engine.core.filters import Filters
from engine.core.model.image import Image, ImageName, StoredImage
from engine.core.references import Reference
from engine.domain.images.catalog import Catalog
from engine.domain.images.failures import InvalidUntil
from engine.domain.images.images import Images, preferred
from engine.domain.images.sizes import Sizer

KNOWN_FILTERS = ("dangling", "label", "label!", "before", "since", "reference", "until")


@dataclass(frozen=True, slots=True)
class Listing:
    """What a client wants to see; without `all` no nameless images from which others were made."""

    filters: Filters = field(default_factory=dict)
    shared_size: bool = False
    all: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """An image in a list. Sizes in bytes; `shared` is -1 where nobody asked."""

    stored: StoredImage
    image: Image
    tags: Sequence[str]
    digests: Sequence[str]
    size: int
    shared: int
    containers: Sequence[str]


class Lister:
    """Lists images."""

    def __init__(self, catalog: Catalog, images: Images, sizer: Sizer) -> None:
        self._catalog = catalog
        self._images = images
        self._sizer = sizer

    def list(self, listing: Listing) -> list[Summary]:
        """Return the images that match, the newest first. Raises InvalidFilter, InvalidUntil, ImageNotFound."""
        matches = self._predicate(listing.filters)
        stored = self._catalog.images() if listing.all else self._tops()
        shared = self._sizer.shared(stored) if listing.shared_size else {}
        found = [s for one in stored if (s := self._summary(one, listing, shared)) is not None and matches(s)]
        return sorted(found, key=lambda s: s.image.created or 0, reverse=True)

    def _tops(self) -> Sequence[StoredImage]:
        parents = self._catalog.parents()
        found = self._catalog.images()
        return [i for i in found if i.target.digest not in parents or self._catalog.names_of(i.target.digest)]

    def _summary(self, stored: StoredImage, listing: Listing, shared: dict[str, int]) -> Summary | None:
        names = self._catalog.names_of(stored.target.digest)
        patterns = listing.filters.get("reference")
        if patterns:
            names = [n for n in names if _matches_any(references.parse(n.name), patterns)]
            if not names:
                return None
        tags, digests = shown_names(names, stored.target.digest)
        return Summary(
            stored=stored,
            image=preferred(stored),
            tags=tags,
            digests=digests,
            size=self._sizer.total(stored),
            shared=shared.get(stored.target.digest, -1),
            containers=self._images.holders(stored.target.digest),
        )

    def _predicate(self, filters: Filters) -> Callable[[Summary], bool]:
        core_filters.require_known(filters, KNOWN_FILTERS)
        dangling = core_filters.boolean(filters, "dangling")
        labels, unwanted = filters.get("label", ()), filters.get("label!", ())
        before = min((self._created(r) for r in filters.get("before", ())), default=None)
        since = max((self._created(r) for r in filters.get("since", ())), default=None)
        until = until_of(filters)

        def matches(summary: Summary) -> bool:
            created = summary.image.created or 0
            return (
                (dangling is None or dangling != bool(summary.tags or summary.digests))
                and core_filters.match_labels(labels, summary.image.config.labels)
                and not (unwanted and core_filters.match_labels(unwanted, summary.image.config.labels))
                and (before is None or created < before)
                and (since is None or created > since)
                and (until is None or summary.stored.stored_at < until)
            )

        return matches

    def _created(self, reference: str) -> int:
        return self._images.resolve(reference).created or 0


def until_of(filters: Filters) -> int | None:
    """Return the instant of the `until` filter, None where it is absent. Raises InvalidUntil."""
    values = filters.get("until", ())
    try:
        return min((times.parse_instant(v) for v in values), default=None)
    except (ValueError, OverflowError) as error:
        raise InvalidUntil(next(iter(values))) from error


def shown_names(names: Sequence[ImageName], target: str) -> tuple[list[str], list[str]]:
    """Return an image's tags and its names by digest, as users write them, sorted by tag."""
    parsed = sorted((references.parse(n.name) for n in names), key=str)
    tags = [r.familiar for r in parsed if r.tag]
    repositories = dict.fromkeys(r.familiar_name for r in parsed)
    return tags, [f"{r}@{target}" for r in repositories]


def _matches_any(reference: Reference, patterns: Sequence[str]) -> bool:
    return any(familiar_match(pattern, reference) for pattern in patterns)


def familiar_match(pattern: str, reference: Reference) -> bool:
    """Tell whether a reference matches a pattern, with its tag or without (distribution's FamiliarMatch)."""
    glob = _glob(pattern)
    texts = (reference.familiar, reference.familiar_name)
    if any(glob.fullmatch(t) for t in texts):
        return True
    try:
        # A pattern may also be a name in full (`docker.io/library/busybox`).
        normal = references.parse(pattern)
    except WharfError:
        return False
    same_name = normal.name == reference.name
    return same_name and normal.tag in ("", reference.tag) and normal.digest in ("", reference.digest)


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of Go's path.Match: `*` and `?` stop at a slash."""
    parts = re.findall(r"\\.|\[\^?[^\]]*\]|.", pattern, re.DOTALL)
    known = {"*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(known.get(p) or (p if p[0] == "[" and len(p) > 2 else _literal(p)) for p in parts))


def _literal(part: str) -> str:
    return re.escape(part[1] if len(part) == 2 else part)
