"""Container events with dockerd's attributes: the image, the name, all labels, and what belongs to the action."""

from engine.core.model.container import Container, MountPoint
from engine.core.model.event import EventType
from engine.domain.events.bus import EventBus


class Announcer:
    """Publishes what happens to containers."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus

    def container(self, container: Container, action: str, **attributes: str) -> None:
        """Publish an action on a container."""
        labels = container.config.labels or {}
        actor = {**labels, "image": container.config.image, "name": container.name, **attributes}
        self._bus.publish(EventType.CONTAINER, action, container.id, actor)

    def prune(self, kind: EventType, reclaimed: int) -> None:
        """Publish the end of a prune: bytes reclaimed."""
        self._bus.publish(kind, "prune", "", {"reclaimed": str(reclaimed)})

    def volume_mounted(self, container: Container, mount: MountPoint) -> None:
        """Publish that a container uses a volume from now on."""
        attributes = {
            "container": container.id,
            "destination": mount.destination,
            "driver": mount.driver,
            "propagation": mount.propagation,
            "read/write": str(mount.rw).lower(),
        }
        self._bus.publish(EventType.VOLUME, "mount", mount.name, attributes)

    def volume_unmounted(self, container: Container, mount: MountPoint) -> None:
        """Publish that a container no longer uses a volume."""
        self._bus.publish(EventType.VOLUME, "unmount", mount.name, {"container": container.id, "driver": mount.driver})
