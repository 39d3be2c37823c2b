"""Entries of trees as BuildKit's clients send and take them (`fsutil.types.Stat`): modes are Go's."""

import stat

from engine.domain.builder.protocol.messages import Message, fsutil
from engine.domain.containers.archive import go_mode
from engine.drivers.confine.tree_entry import TreeEntry

_GO_KINDS = (
    (1 << 31, stat.S_IFDIR),
    (1 << 27, stat.S_IFLNK),
    (1 << 25, stat.S_IFIFO),
    (1 << 24, stat.S_IFSOCK),
    (1 << 21, stat.S_IFCHR),  # Together with the bit of all devices, so it comes before it.
    (1 << 26, stat.S_IFBLK),
)
_GO_BITS = ((1 << 23, stat.S_ISUID), (1 << 22, stat.S_ISGID), (1 << 20, stat.S_ISVTX))


def unix_mode(mode: int) -> int:
    """Return Go's os.FileMode as stat(2) has it."""
    kind = next((unix for go, unix in _GO_KINDS if mode & go), stat.S_IFREG)
    return kind | mode & 0o777 | sum(unix for go, unix in _GO_BITS if mode & go)


def decode_entry(message: Message) -> TreeEntry:
    """Return an entry."""
    return TreeEntry(
        path=message.path,
        mode=unix_mode(message.mode),
        uid=message.uid,
        gid=message.gid,
        size=message.size,
        mtime=message.modTime,
        link=message.linkname,
        xattrs=dict(message.xattrs) if message.xattrs else {},
    )


def encode_entry(entry: TreeEntry) -> Message:
    """Return an entry as a message."""
    return fsutil.Stat(
        path=entry.path,
        mode=go_mode(entry.mode),
        uid=entry.uid,
        gid=entry.gid,
        size=entry.size,
        modTime=entry.mtime,
        linkname=entry.link,
        xattrs=dict(entry.xattrs),
    )
