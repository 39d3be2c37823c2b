"""The exporters `moby` and `image`: a build's result becomes an image in the store, with names, perhaps pushed."""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from engine.core import references
from engine.core.errors import InvalidParameter
from engine.core.model.image import StoredImage
from engine.core.references import Reference
from engine.domain.builder.exporters.assemble import AssembleOptions, Assembler, Teller
from engine.domain.builder.job import Job
from engine.domain.builder.result import FrontendResult
from engine.domain.builder.sources.resolve import vertex
from engine.domain.images.announce import Announcer
from engine.domain.images.catalog import Catalog
from engine.domain.images.documents import descriptor_json
from engine.domain.images.images import preferred
from engine.domain.images.platforms import parse_platform
from engine.domain.images.push import Pusher, PushOptions
from engine.drivers.registry.credentials import ANONYMOUS

_SECOND = 10**9
_ANNOTATION = "annotation"
_DANGLING = "moby-dangling"


class InvalidExportOption(InvalidParameter):
    """An exporter's option of a wrong form."""

    def __init__(self, name: str, value: str) -> None:
        super().__init__(f"non-bool value specified for {name}: {value!r}")


class NamelessPush(InvalidParameter):
    """A push needs a name."""

    def __init__(self) -> None:
        super().__init__("tag is needed when pushing to registry")


class Target(Protocol):
    """What a client says of an export."""

    @property
    def attrs(self) -> Mapping[str, str]:
        """The options, in BuildKit's names."""
        ...


class ImageExporter:
    """Exports to the image store."""

    def __init__(self, assembler: Assembler, catalog: Catalog, pusher: Pusher, announcer: Announcer) -> None:
        self._assembler = assembler
        self._catalog = catalog
        self._pusher = pusher
        self._announcer = announcer

    async def export(self, result: FrontendResult, target: Target, job: Job) -> Mapping[str, str]:
        """Make the image; return what the client is told of it. Raises VertexFailed, WharfError, OSError."""
        attrs = target.attrs
        names = image_names(attrs)
        options = assemble_options(attrs, result)
        pushed, by_digest = flag(attrs, "push"), flag(attrs, "push-by-digest")
        if pushed and not names:
            raise NamelessPush
        async with vertex("exporting to image", job) as digest:
            teller = Teller(job, digest)
            stored = await self._assembler.assemble(result, options, job, teller)
            if flag(attrs, "store", default=True):
                await self._store(stored, () if by_digest else names, teller)
            if by_digest:
                names = [Reference(name.domain, name.path) for name in names]
            if pushed:
                await self._push(stored, names, job, teller)
        return {"image.name": _nameless(stored), **described(stored, names)}

    async def _store(self, stored: StoredImage, names: Sequence[Reference], teller: Teller) -> None:
        adding = asyncio.ensure_future(self._catalog.add(stored, names[0] if names else None))
        shown = [str(name) for name in names] or [_nameless(stored)]
        for number, name in enumerate(shown):
            with teller.told(f"naming to {name}"):
                # A client that leaves now must not leave the image half recorded.
                await asyncio.shield(adding)
                if number:
                    await self._catalog.tag(stored.target.digest, names[number])
            with teller.told(f"unpacking to {name}"):
                pass
        image = preferred(stored) if stored.images else None
        for given in names:
            self._announcer.about("tag", stored.target.digest, given.familiar, image)

    async def _push(self, stored: StoredImage, names: Sequence[Reference], job: Job, teller: Teller) -> None:
        for name in names:
            credentials = await job.credentials_for(name.domain) or ANONYMOUS
            with teller.told("pushing layers"), teller.told(f"pushing manifest for {name}@{stored.target.digest}"):
                options = PushOptions(reference=name, credentials=credentials)
                kept = self._catalog.name(name)
                if kept is not None and kept.target == stored.target.digest:
                    await self._pusher.push(options, silent)
                else:
                    await self._pusher.send(options, stored, silent)


def _nameless(stored: StoredImage) -> str:
    """Return what stands for the name of an image without one."""
    return f"{_DANGLING}@{stored.target.digest}"


async def silent(_line: object) -> None:
    """Take what a push tells, which a build's progress does not show."""


def image_names(attrs: Mapping[str, str]) -> list[Reference]:
    """Return the names of the option `name`. Raises InvalidReference."""
    texts = [text.strip() for text in attrs.get("name", "").split(",") if text.strip()]
    return list(dict.fromkeys(references.parse(text).with_default_tag() for text in texts))


def flag(attrs: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """Return an option's truth value, as Go reads it. Raises InvalidExportOption."""
    value = attrs.get(name)
    if value is None:
        return default
    if value in ("", "1", "t", "T", "true", "TRUE", "True"):
        return True
    if value in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise InvalidExportOption(name, value)


def assemble_options(attrs: Mapping[str, str], result: FrontendResult) -> AssembleOptions:
    """Return how an exporter's options want documents. Raises InvalidExportOption."""
    return AssembleOptions(
        oci=flag(attrs, "oci-mediatypes", default=bool(result.attestations or _annotations(attrs))),
        annotations=_annotations(attrs),
        epoch=epoch_of(attrs, result),
        rewrite=flag(attrs, "rewrite-timestamp"),
        attestations=result.attestations,
        names=image_names(attrs),
    )


def epoch_of(attrs: Mapping[str, str], result: FrontendResult) -> int | None:
    """Return SOURCE_DATE_EPOCH in ns: of the exporter's options, else of the frontend."""
    text = attrs.get("source-date-epoch") or result.metadata.get("source.date.epoch", b"").decode(errors="replace")
    return int(text) * _SECOND if text.isascii() and text.isdigit() else None


def _annotations(attrs: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Read `annotation.KEY`, `annotation-index.KEY`, `annotation-manifest[linux/amd64].KEY` and the like."""
    found: dict[str, dict[str, str]] = {}
    for option, value in attrs.items():
        if not option.startswith(_ANNOTATION):
            continue
        kind, platform, key = _annotation_place(option.removeprefix(_ANNOTATION))
        if key:
            found.setdefault(f"{kind}[{platform}]" if platform else kind, {})[key] = value
    return found


def _annotation_place(text: str) -> tuple[str, str, str]:
    """Split `[-KIND][[PLATFORM]].KEY`."""
    head, bracket, rest = text.partition("[")
    if bracket and "." not in head:
        platform, _, key = rest.partition("].")
        kind = head.removeprefix("-") or "manifest"
        return kind, platform and str_platform(platform), key
    kind, _, key = text.partition(".")
    return kind.removeprefix("-") or "manifest", "", key


def str_platform(text: str) -> str:
    """Return a platform's name in its one form. Raises InvalidPlatform."""
    found = parse_platform(text)
    return "/".join(part for part in (found.os, found.architecture, found.variant) if part)


def described(stored: StoredImage, names: Sequence[Reference]) -> dict[str, str]:
    """Return what a client is told of an image."""
    target = stored.target
    descriptor = msgspec.json.encode(descriptor_json(target))
    response = {
        "containerimage.digest": target.digest,
        "containerimage.descriptor": base64.b64encode(descriptor).decode(),
    }
    if len(stored.manifests) == 1 and stored.images:
        response["containerimage.config.digest"] = stored.images[0].config_descriptor.digest
    if names:
        response["image.name"] = ",".join(str(name) for name in names)
    return response
