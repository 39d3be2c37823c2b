"""Which users and groups of the host the users and groups in a user namespace are."""

from collections.abc import Iterable

from msgspec import Struct

from engine.core.errors import InvalidParameter


class NotMapped(InvalidParameter):
    """An id that has no meaning in the user namespace."""

    def __init__(self, number: int) -> None:
        super().__init__(f"id {number} is not mapped in the user namespace")


class IdRange(Struct, frozen=True):
    """`size` ids from `inside` on are the host's from `outside` on."""

    inside: int
    outside: int
    size: int


class IdMapping(Struct, frozen=True, kw_only=True):
    """The mapping of `--userns-remap`; the first ranges begin with root."""

    uids: tuple[IdRange, ...]
    gids: tuple[IdRange, ...]

    @property
    def root(self) -> tuple[int, int]:
        """User and group of the host that root is."""
        return self.uids[0].outside, self.gids[0].outside

    def outside(self, uid: int, gid: int) -> tuple[int, int]:
        """Return user and group of the host that these are. Raises NotMapped."""
        return _outside(self.uids, uid), _outside(self.gids, gid)


def _outside(ranges: Iterable[IdRange], number: int) -> int:
    for each in ranges:
        if each.inside <= number < each.inside + each.size:
            return each.outside + number - each.inside
    raise NotMapped(number)
