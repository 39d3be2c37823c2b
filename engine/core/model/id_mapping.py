"""Which users and groups of the host the users and groups in a user namespace are."""

from msgspec import Struct


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
