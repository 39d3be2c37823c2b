"""Images that a container has beside its own: `--mount type=image` (API 1.48).

Each is held like the container's own image, under a holder's name of its own, and mounted read-only beside its tree.
"""

from dataclasses import dataclass

import msgspec

from engine.core.model.container import Container, MountPoint
from engine.domain.images.images import Hold, Images, hold_of
from engine.domain.volumes.volumes import Volumes
from engine.drivers.storage.overlay import OverlayDriver


@dataclass(frozen=True, slots=True)
class MountSources:
    """Where that comes from which is mounted in containers, but for the host's directories."""

    volumes: Volumes
    images: "ImageMounts"


class ImageMounts:
    """Finds, holds and mounts them."""

    def __init__(self, images: Images, overlay: OverlayDriver) -> None:
        self._images = images
        self._overlay = overlay

    async def hold(self, container: Container, mount: MountPoint) -> MountPoint:
        """Return the mount of a new container with its image found, held and unpacked.

        Raises ImageNotFound, InvalidReference, ExtractFailed, LayerMismatch, BlobMissing.
        """
        place = container.mounts.index(mount)
        if not mount.image:  # Else it is another container's: the same image, whatever its name means today.
            image = self._images.resolve(mount.name)
            self._images.acquire(_holder(container.id, place), hold_of(image))
            layers = await self._images.unpacked(image)
            mount = msgspec.structs.replace(mount, image=image.id, layers=layers)
        self._images.acquire(_holder(container.id, place), Hold(mount.image, "", mount.layers))
        return msgspec.structs.replace(mount, source=str(self._overlay.view(container.id, str(place))))

    async def mount(self, container: Container, mount: MountPoint, *, mapped: bool = False) -> str:
        """Mount it beside the container's tree, with which it is unmounted; return the path. Raises OSError.

        `mapped`: as a container in a user namespace is to see it.
        """
        place = str(container.mounts.index(mount))
        return str(await self._overlay.mount_view(container.id, place, mount.layers, mapped=mapped))


def holds(container: Container) -> dict[str, Hold]:
    """Return what a container holds of images, by the holder's name: its own, then those that it mounts."""
    manifest = container.manifest.digest if container.manifest else ""
    result = {container.id: Hold(container.image, manifest, container.layers)}
    for place, mount in enumerate(container.mounts):
        if mount.type == "image" and mount.image:
            result[_holder(container.id, place)] = Hold(mount.image, "", mount.layers)
    return result


def _holder(container_id: str, place: int) -> str:
    return f"{container_id}/{place}"
