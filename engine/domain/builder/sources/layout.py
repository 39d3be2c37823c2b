"""Trees of images in layouts on the client's disk: `oci-layout://NAME@DIGEST` (`--build-context`)."""

from dataclasses import replace

from engine.core import times
from engine.domain.builder.llb.ops import SourceOp
from engine.domain.builder.progress import StatusEvent
from engine.domain.builder.snapshot import Snapshot
from engine.domain.builder.solver.executors import Work
from engine.domain.builder.sources.client_origin import layout_of
from engine.domain.builder.sources.image import ImageSource
from engine.domain.builder.sources.resolve import ImageResolver
from engine.domain.images.platforms import host


class LayoutSource:
    """Brings layouts' trees."""

    transient = False

    def __init__(self, resolver: ImageResolver, images: ImageSource) -> None:
        self._resolver = resolver
        self._images = images

    async def identify(self, work: Work) -> str:
        """Return the digest of the platform's configuration, as for the same image of a registry."""
        operation = work.vertex.operation
        assert isinstance(operation, SourceOp)
        layout = layout_of(operation.identifier, operation.attrs)
        status = StatusEvent("", f"resolve {layout.reference}", started=times.now())
        work.report(status)
        found = await self._resolver.find_layout(layout, work.vertex.platform or host(), work.job)
        work.report(replace(status, timestamp=times.now(), completed=times.now()))
        work.job.runs[_key(work)] = found
        return f"image {found.image.config_descriptor.digest}"

    def known(self, work: Work) -> bool:
        """Tell whether an earlier build has used the image."""
        return self._images.used(work.job.runs[_key(work)])

    async def load(self, work: Work) -> Snapshot:
        """Return the tree, having brought and unpacked what was missing."""
        return await self._images.bring(work.job.runs[_key(work)], work.job, work.report)


def _key(work: Work) -> str:
    return f"layout {work.digest}"
