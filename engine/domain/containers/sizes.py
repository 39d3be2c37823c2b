"""How much disk a container takes."""

from dataclasses import dataclass

from engine.core.model.container import Container
from engine.drivers.confine.confine import Confine
from engine.drivers.storage.layers import LayerStore
from engine.drivers.storage.overlay import OverlayDriver


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of a container's own layer, and of its whole tree with the image's layers."""

    rw: int
    root: int


class Sizer:
    """Measures containers."""

    def __init__(self, overlay: OverlayDriver, layers: LayerStore, confine: Confine) -> None:
        self._overlay = overlay
        self._layers = layers
        self._confine = confine

    async def measure(self, container: Container) -> Sizes:
        """Walk the writable layer, in a confined process; image layers know their size."""
        rw = await self._confine.disk_usage(self._overlay.upper(container.id))
        return Sizes(rw, rw + sum(self._layers.size(chain) for chain in container.layers))
