"""Who holds a volume, and who has it mounted. In memory only: taken again at the daemon's start."""

from collections import defaultdict


class Holders:
    """A relation between names and holders, looked up from both sides."""

    def __init__(self) -> None:
        self._by_name: defaultdict[str, set[str]] = defaultdict(set)
        self._by_holder: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, name: str, holder: str) -> None:
        """Let a holder hold; nothing happens where it does already."""
        self._by_name[name].add(holder)
        self._by_holder[holder].add(name)

    def discard(self, name: str, holder: str) -> None:
        """Let a holder go of one name; nothing happens where it does not hold it."""
        self._remove(self._by_name, name, holder)
        self._remove(self._by_holder, holder, name)

    def discard_all(self, holder: str) -> None:
        """Let a holder go of everything."""
        for name in self._by_holder.pop(holder, ()):
            self._remove(self._by_name, name, holder)

    def of(self, name: str) -> frozenset[str]:
        """Return who holds a name."""
        return frozenset(self._by_name.get(name, ()))

    @staticmethod
    def _remove(relation: defaultdict[str, set[str]], key: str, value: str) -> None:
        values = relation.get(key)
        if values is not None:
            values.discard(value)
            if not values:
                del relation[key]
