"""`--userns-remap`: from a user's name to the ids that /etc/subuid and /etc/subgid give that user.

The forms are dockerd's: `default` (the user `dockremap`), `user`, `user:group`, numbers instead of names.
"""

import grp
import pwd
from collections.abc import Callable
from pathlib import Path

from engine.core.errors import Internal
from engine.core.model.id_mapping import IdMapping, IdRange

_DEFAULT = "dockremap"
_SUBUID, _SUBGID = Path("/etc/subuid"), Path("/etc/subgid")


class RemapFailed(Internal):
    """The setting names nobody, or somebody without ids to give."""


def mapping_for(setting: str) -> IdMapping:
    """Return the mapping for a setting. Raises RemapFailed. Blocks (small files)."""
    user, _, group = setting.partition(":")
    user_name = _name(_DEFAULT if user == "default" else user, "user", _user_name)
    group_name = _name(group, "group", _group_name) if group else user_name
    return IdMapping(
        uids=ranges(_SUBUID.read_text() if _SUBUID.exists() else "", user_name, "subuid"),
        gids=ranges(_SUBGID.read_text() if _SUBGID.exists() else "", group_name, "subgid"),
    )


def _name(text: str, kind: str, look_up: Callable[[str], str]) -> str:
    try:
        return look_up(text)
    except (KeyError, OverflowError) as error:
        raise RemapFailed(f'invalid --userns-remap: there is no {kind} "{text}"') from error


def _user_name(text: str) -> str:
    return (pwd.getpwuid(int(text)) if text.isdecimal() else pwd.getpwnam(text)).pw_name


def _group_name(text: str) -> str:
    return (grp.getgrgid(int(text)) if text.isdecimal() else grp.getgrnam(text)).gr_name


def ranges(text: str, name: str, kind: str) -> tuple[IdRange, ...]:
    """Return the ranges of one name, one after the other from id 0 on. Raises RemapFailed. Pure."""
    found: list[IdRange] = []
    for line in text.splitlines():
        owner, _, numbers = line.strip().partition(":")
        first, _, size = numbers.partition(":")
        if owner == name and first.isdecimal() and size.isdecimal() and int(size):
            found.append(IdRange(sum(r.size for r in found), int(first), int(size)))
    if not found:
        raise RemapFailed(f'Can\'t create ID mappings: no {kind} ranges found for user "{name}"')
    return tuple(found)
