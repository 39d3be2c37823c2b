"""The tree of an image of the store, by its manifest's digest: what each step of a classic build begins with."""

from engine.core.errors import NotFound
from engine.core.model.image import Image
from engine.domain.builder.llb.ops import Edge, SourceOp, Vertex
from engine.domain.builder.snapshot import Snapshot, Snapshots
from engine.domain.builder.solver.executors import Work
from engine.domain.images.images import Images

SCHEME = "step"


class StepGone(NotFound):
    """Somebody has removed the image meanwhile."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"No such image: {digest}")


def tree_of(image: Image) -> Edge | None:
    """Return an image's tree, None for an empty one."""
    if not image.diff_ids:
        return None
    return Edge(Vertex(SourceOp(f"{SCHEME}://{image.id}", {"manifest": image.manifest.digest})))


class StepSource:
    """Finds images."""

    transient = False

    def __init__(self, images: Images, snapshots: Snapshots) -> None:
        self._images = images
        self._snapshots = snapshots

    async def identify(self, work: Work) -> str:
        """Return what tells the tree from others."""
        return f"image {self._image(work).manifest.digest}"

    def known(self, work: Work) -> bool:
        """Nobody is told of it."""
        return False

    async def load(self, work: Work) -> Snapshot:
        """Return the tree, unpacked. Raises ExtractFailed, …"""
        image = self._image(work)
        await self._images.unpacked(image)
        return self._snapshots.of_image(image)

    def _image(self, work: Work) -> Image:
        operation = work.vertex.operation
        assert isinstance(operation, SourceOp)
        digest = operation.identifier.removeprefix(f"{SCHEME}://")
        for image in self._images.find(digest).images:
            if image.manifest.digest == operation.attrs.get("manifest"):
                return image
        raise StepGone(digest)
