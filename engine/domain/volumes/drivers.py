"""What volumes ask of drivers other than `local`: plugins, which are found elsewhere (`domain/plugins`)."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from engine.core.errors import NotFound
from engine.core.model.volume import Volume


class VolumeDriver(Protocol):
    """One driver. What it raises is a WharfError with the driver's own reason."""

    @property
    def name(self) -> str:
        """The name in the API."""

    async def scope(self) -> str:
        """Return `local` or `global`."""

    async def get(self, name: str, *, patient: bool = True) -> Volume:
        """Return a volume as the driver sees it. Raises NotFound; a patient caller waits for a driver that starts."""

    async def list(self) -> Sequence[Volume]:
        """Return all its volumes."""

    async def create(self, name: str, options: Mapping[str, str] | None) -> None:
        """Make a volume."""

    async def remove(self, name: str) -> None:
        """Remove a volume and its data."""

    async def mount(self, name: str, user: str) -> str:
        """Make the data available for a user; return its path on the host."""

    async def unmount(self, name: str, user: str) -> None:
        """Let a user use it no longer."""


class VolumeDrivers(Protocol):
    """All drivers but `local`."""

    async def driver(self, name: str) -> VolumeDriver:
        """Return a driver. Raises NotFound, or another WharfError where it is there and cannot be used."""

    async def present(self) -> Sequence[VolumeDriver]:
        """Return all that can be used now, by name. Never waits for one that does not answer."""

    def acquire(self, name: str) -> None:
        """Note that one more volume of the driver is known here."""

    def release(self, name: str) -> None:
        """Note that one is no more."""


class NoSuchDriver(NotFound):
    """There is no plugin of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f'plugin "{name}" not found')
