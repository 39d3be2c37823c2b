"""POST /images/create: pull from a registry, or import an archive from the request's body."""

from aiohttp import web

from engine.api.handlers.images import streaming
from engine.api.routing import Route
from engine.api.transport import incoming
from engine.api.wire import auth, query
from engine.core import references
from engine.core.errors import Internal
from engine.core.references import Reference, is_digest
from engine.domain.images.failures import InvalidTag
from engine.domain.images.import_image import Importer, ImportOptions
from engine.domain.images.progress import Note, Sink
from engine.domain.images.pull import Puller, PullOptions
from engine.domain.images.tag import new_name
from engine.drivers.registry.fetch import download
from engine.drivers.registry.transport import Transport


class NothingToCreate(Internal):
    """Neither an image nor a source; the text is what dockerd's HTTP client says to an empty address."""

    def __init__(self) -> None:
        super().__init__('Get "http:": http: no Host in request URL')


class PullHandlers:
    """Brings images in, from registries and from archives of a file system."""

    def __init__(self, puller: Puller, importer: Importer, transport: Transport) -> None:
        self._puller = puller
        self._importer = importer
        self._transport = transport

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("POST", "/images/create", self.create)]

    async def create(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /images/create."""
        if query.text(request, "fromImage"):
            return await self._pull(request)
        return await self._import(request)

    async def _pull(self, request: web.BaseRequest) -> web.StreamResponse:
        options = PullOptions(
            reference=pulled_reference(query.text(request, "fromImage"), query.text(request, "tag")),
            platform=query.text(request, "platform"),
            credentials=auth.credentials(request),
        )
        return await streaming.answer(request, lambda sink: self._puller.pull(options, sink))

    async def _import(self, request: web.BaseRequest) -> web.StreamResponse:
        source = query.text(request, "fromSrc")
        if not source:
            raise NothingToCreate
        options = ImportOptions(
            name=new_name(query.text(request, "repo"), query.text(request, "tag")),
            message=query.text(request, "message") or f"Imported from {source}",
            changes=query.texts(request, "changes"),
            platform=query.text(request, "platform"),
        )
        return await streaming.answer(request, lambda sink: self._import_from(request, source, options, sink))

    async def _import_from(self, request: web.BaseRequest, source: str, options: ImportOptions, sink: Sink) -> None:
        if source == "-":
            image_id = await self._importer.import_archive(options, incoming.pieces(request))
        else:
            async with download(self._transport, source) as chunks:
                await sink(Note(f"Downloading from {source}"))
                image_id = await self._importer.import_archive(options, chunks)
        await sink(Note(image_id))


def pulled_reference(image: str, tag: str) -> Reference:
    """Return what to pull: `tag`, which may be a digest, outweighs the one in `image`. Raises InvalidReference."""
    reference = references.parse(image)
    if not tag:
        return reference
    if is_digest(tag):
        return Reference(reference.domain, reference.path, "", tag)
    named = new_name(f"{reference.domain}/{reference.path}", tag)
    if named is None:
        raise InvalidTag
    return named
