"""Image events, with the attributes that dockerd gives them: the image's labels, and the name it was used under."""

from engine.core.model.event import EventType
from engine.core.model.image import Image
from engine.core.references import Reference
from engine.domain.events.bus import EventBus


class Announcer:
    """Publishes what happens to images."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus

    def at_registry(self, action: str, reference: Reference, image: Image | None) -> None:
        """Publish `pull` or `push`: the actor is the name."""
        actor = reference.familiar
        self._publish(action, actor, reference.familiar_name, image)

    def about(self, action: str, image_id: str, name: str = "", image: Image | None = None) -> None:
        """Publish `tag`, `untag`, `delete`, `load`, `import` or `save`: the actor is the id."""
        self._publish(action, image_id, name or image_id, image)

    def pruned(self, reclaimed: int) -> None:
        """Publish `prune`."""
        self._bus.publish(EventType.IMAGE, "prune", "", {"reclaimed": str(reclaimed)})

    def _publish(self, action: str, actor: str, name: str, image: Image | None) -> None:
        labels = (image.config.labels if image else None) or {}
        self._bus.publish(EventType.IMAGE, action, actor, {**labels, "name": name})
