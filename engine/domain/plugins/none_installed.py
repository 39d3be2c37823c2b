"""No installed plugins: what `directory.py` asks where this daemon runs none."""

from collections.abc import Sequence

from engine.domain.plugins.directory import Plugin


class NoneInstalled:
    """Nothing."""

    def find(self, name: str, capability: str) -> Plugin | None:
        """Return None."""
        return None

    def enabled(self, capability: str) -> Sequence[Plugin]:
        """Return nothing."""
        return ()

    def acquire(self, name: str) -> None:
        """Nothing to note."""

    def release(self, name: str) -> None:
        """Nothing to note."""
