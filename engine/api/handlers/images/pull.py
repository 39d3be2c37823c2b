"""POST /images/create: pull from a registry, or import an archive from the request's body."""

from aiohttp import web

from engine.api.routing import Route
from engine.api.transport.progress import ProgressStream
from engine.api.wire import auth, query
from engine.api.wire.image_progress import encode_line
from engine.core import references
from engine.core.errors import Internal, WharfError
from engine.core.references import Reference, is_digest
from engine.domain.images.failures import InvalidTag
from engine.domain.images.progress import Line
from engine.domain.images.pull import Puller, PullOptions
from engine.domain.images.tag import new_name


class NothingToCreate(Internal):
    """Neither an image nor a source; the text is what dockerd's HTTP client says to an empty address."""

    def __init__(self) -> None:
        super().__init__('Get "http:": http: no Host in request URL')


class PullHandlers:
    """Brings images in from registries."""

    def __init__(self, puller: Puller) -> None:
        self._puller = puller

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("POST", "/images/create", self.create)]

    async def create(self, request: web.BaseRequest) -> web.StreamResponse:
        """POST /images/create."""
        image = query.text(request, "fromImage")
        if not image:
            raise NothingToCreate
        options = PullOptions(
            reference=pulled_reference(image, query.text(request, "tag")),
            platform=query.text(request, "platform"),
            credentials=auth.credentials(request),
        )
        stream = ProgressStream(request)

        async def send(line: Line) -> None:
            await stream.send(encode_line(line))

        try:
            await self._puller.pull(options, send)
        except WharfError as error:
            await stream.fail(error)
        return await stream.finish()


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
