"""Who a container's process runs as: user and group names resolved by the container's own account files. Pure.

The files come from images, so they are hostile until proven otherwise: lines that make no sense are skipped, ids out of
range are refused rather than wrapped (CVE-2024-40635), and no more groups are taken than the kernel accepts
(CVE-2026-47262).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.core.errors import Internal

_MAX_ID = (1 << 31) - 1
_MAX_GROUPS = 1024
_MAX_LINE = 64 << 10


class UnableToFindUser(Internal):
    """No such user in the container's /etc/passwd."""

    def __init__(self, user: str) -> None:
        super().__init__(f"unable to find user {user}: no matching entries in passwd file")


class UnableToFindGroup(Internal):
    """No such group in the container's /etc/group."""

    def __init__(self, group: str) -> None:
        super().__init__(f"unable to find group {group}: no matching entries in group file")


class IdOutOfRange(Internal):
    """A numeric user or group that the kernel does not have."""

    def __init__(self) -> None:
        super().__init__(f"uids and gids must be in range 0-{_MAX_ID}")


@dataclass(frozen=True, slots=True)
class ResolvedUser:
    """The ids of a process. `additional_gids` begins with the primary group where Docker has it so."""

    uid: int = 0
    gid: int = 0
    additional_gids: tuple[int, ...] = ()
    home: str = "/"


@dataclass(frozen=True, slots=True)
class _Account:
    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    gid: int
    members: frozenset[str]


def resolve_user(user: str, passwd: bytes, group: bytes, add_groups: Sequence[str] = ()) -> ResolvedUser:
    """Resolve `user` (``, `name`, `uid`, `user:group`) and the further groups of `--group-add`.

    A number need not be in the files; a name must. Raises UnableToFindUser, UnableToFindGroup, IdOutOfRange.
    """
    name, colon, group_name = user.partition(":")
    account = _account(name or "0", passwd)
    groups = list(_groups(group))
    gids: list[int] = []
    gid = account.gid
    if colon and group_name:
        gid = _gid(group_name, groups)
    elif account.name:
        gids = [g.gid for g in groups if account.name in g.members][:_MAX_GROUPS]
    added = dict.fromkeys(_gid(g, groups) for g in add_groups)
    gids = [gid, *(g for g in gids if g != gid), *added]
    return ResolvedUser(account.uid, gid, tuple(gids), account.home)


def _account(name: str, passwd: bytes) -> _Account:
    number = _number(name)
    for account in _accounts(passwd):
        if account.uid == number if number is not None else account.name == name:
            return account
    if number is None:
        raise UnableToFindUser(name)
    return _Account("", number, 0, "/")


def _gid(name: str, groups: Sequence[_Group]) -> int:
    number = _number(name)
    if number is not None:
        return number
    for group in groups:
        if group.name == name:
            return group.gid
    raise UnableToFindGroup(name)


def _number(text: str) -> int | None:
    if not text.lstrip("+-").isdecimal() or not text.isascii():
        return None
    number = int(text[:32])
    if not 0 <= number <= _MAX_ID:
        raise IdOutOfRange
    return number


def _accounts(passwd: bytes) -> Iterator[_Account]:
    for fields in _lines(passwd):
        uid, gid = (_file_number(fields, i) for i in (2, 3))
        if uid is not None and gid is not None:
            yield _Account(fields[0], uid, gid, fields[5] if len(fields) > 5 and fields[5] else "/")


def _groups(group: bytes) -> Iterator[_Group]:
    for fields in _lines(group):
        gid = _file_number(fields, 2)
        if gid is not None:
            members = fields[3].split(",") if len(fields) > 3 else ()
            yield _Group(fields[0], gid, frozenset(m for m in members if m))


def _lines(content: bytes) -> Iterator[list[str]]:
    for line in content.split(b"\n"):
        text = line.strip()
        if text and not text.startswith(b"#") and len(text) <= _MAX_LINE:
            yield text.decode(errors="surrogateescape").split(":")


def _file_number(fields: Sequence[str], index: int) -> int | None:
    text = fields[index] if index < len(fields) else ""
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        return None
    number = int(text)
    return number if number <= _MAX_ID else None
