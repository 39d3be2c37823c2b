"""A layer's entries to a tree, with the marks of overlayfs for what the layer deletes.

Applied as containerd's `archive.Apply` does: the last entry of a name wins, `.wh.x` becomes a character device 0/0,
`.wh..wh..opq` an attribute of its directory (OCI image spec, "Representing Changes"; kernel doc "overlayfs").
"""

import errno
import os
import stat
from collections.abc import Iterator

from engine.core import os_errors
from engine.drivers.confine.failures import ArchiveRefused
from engine.drivers.confine.tar_header import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMLINK,
    Entry,
)
from engine.drivers.confine.tar_reader import TarReader
from engine.drivers.confine.tree import Tree, clean, is_whiteout, shown
from engine.drivers.confine.xattrs import OPAQUE, set_by_name, set_on

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_WHITEOUT, _META, _OPAQUE_MARK = b".wh.", b".wh..wh.", b".wh..wh..opq"
_MAX_ID = 0xFFFFFFFE
_PAGE = 4096
_INLINE_LINK = 60  # Bytes of a symbolic link's target that ext4 keeps in the inode.
# What is due to the entry and not to the disk.
_FAULTS = (errno.ENOENT, errno.EINVAL, errno.ENAMETOOLONG, errno.EFBIG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR)
_SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX


class Extractor:
    """Applies one archive to one tree. `usage` is what the tree takes on the disk, in bytes, about as `du` says."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._entries: TarReader
        self._last: dict[bytes, tuple[int, int | None]] = {}  # directory: mtime and, where needed, mode; both set last
        # The bits of a mode that making a file does not set for sure.
        self._chmod_bits = _SPECIAL_BITS | _umask()
        self.usage = _PAGE
        self._makers = {
            SYMLINK: self._symlink,
            CHARACTER: self._device,
            BLOCK_DEVICE: self._device,
            FIFO: self._fifo,
        }

    def run(self, entries: TarReader) -> None:
        """Apply all entries. Raises ArchiveRefused, OSError."""
        self._entries = entries
        for entry in entries:
            try:
                self._apply(entry)
            except OSError as error:
                if error.errno not in _FAULTS:
                    raise
                raise ArchiveRefused(f'"{shown(entry.name)}": {os_errors.reason(error)}') from error
        self._finish_directories()
        self.usage += self._tree.made * _PAGE

    def _apply(self, entry: Entry) -> None:
        if not (0 <= entry.uid <= _MAX_ID and 0 <= entry.gid <= _MAX_ID):
            raise ArchiveRefused(f'"{shown(entry.name)}": owner out of range')
        path = clean(entry.name)
        if not path:
            self._top(entry)
            return
        self._tree.trim()
        above, _, name = path.rpartition(b"/")
        fd = self._tree.directory(above)
        path = self._tree.entry_path(above, path)
        if name.startswith(_WHITEOUT):
            self._hide(fd, name)
        else:
            self._place(entry, fd, path, name)

    def _place(self, entry: Entry, fd: int, path: bytes, name: bytes) -> None:
        """Make what the entry describes as `name` in the directory `fd`."""
        if entry.kind == REGULAR:
            self._file(entry, fd, path, name)
        elif entry.kind == DIRECTORY:
            self._directory(entry, fd, path, name)
        elif entry.kind == HARD_LINK:
            self._hard_link(entry, fd, path, name)
        elif entry.kind in self._makers:
            self._special(entry, fd, path, name)
        else:
            raise ArchiveRefused(f'"{shown(entry.name)}": unknown kind {entry.kind!r} of entry')

    def _top(self, entry: Entry) -> None:
        if entry.kind != DIRECTORY:
            raise ArchiveRefused(f'"{shown(entry.name)}" names the tree itself')
        os.fchown(self._tree.root, entry.uid, entry.gid)
        self._set_directory_xattrs(entry, self._tree.root)
        self._last[b""] = (entry.mtime, entry.mode)

    def _file(self, entry: Entry, above: int, path: bytes, name: bytes) -> None:
        # Special bits only at the end: writing and chown clear them.
        mode = entry.mode & 0o777
        try:
            fd = os.open(name, _NEW_FILE, mode, dir_fd=above)
        except FileExistsError:
            self._tree.remove(above, path)
            fd = os.open(name, _NEW_FILE, mode, dir_fd=above)
        try:
            if entry.sparse is not None:
                self._write_sparse(entry, fd)
            elif entry.size:
                self.usage += (entry.size + _PAGE - 1) // _PAGE * _PAGE
                _write(fd, self._entries.data(entry.size))
            self._describe_file(entry, fd)
        finally:
            os.close(fd)

    def _describe_file(self, entry: Entry, fd: int) -> None:
        if entry.uid or entry.gid:
            os.fchown(fd, entry.uid, entry.gid)
        if entry.mode & self._chmod_bits:
            os.fchmod(fd, entry.mode)
        if entry.xattrs:
            set_on(fd, entry.xattrs)
        os.utime(fd, ns=(entry.mtime, entry.mtime))

    def _write_sparse(self, entry: Entry, fd: int) -> None:
        os.ftruncate(fd, entry.real_size)
        for offset, length in entry.sparse or ():
            if length:
                self.usage += (length + _PAGE - 1) // _PAGE * _PAGE
                os.lseek(fd, offset, os.SEEK_SET)
                _write(fd, self._entries.data(length))

    def _directory(self, entry: Entry, above: int, path: bytes, name: bytes) -> None:
        fresh = True
        try:
            os.mkdir(name, entry.mode & 0o777, dir_fd=above)
        except FileExistsError:
            fresh = self._make_way(above, path, name)
        self.usage += _PAGE
        if entry.uid or entry.gid or not fresh:
            os.chown(name, entry.uid, entry.gid, dir_fd=above, follow_symlinks=False)
        if entry.xattrs:
            self._set_directory_xattrs(entry, self._tree.directory(path))
        wants_mode = not fresh or entry.mode & self._chmod_bits
        self._last[path] = (entry.mtime, entry.mode if wants_mode else None)

    def _make_way(self, above: int, path: bytes, name: bytes) -> bool:
        """Make a directory where something is: a directory stays with its content (False), anything else goes."""
        status = self._tree.status(above, name)
        if status is not None and stat.S_ISDIR(status.st_mode):
            self.usage -= _PAGE
            return False
        self._tree.remove(above, path)
        os.mkdir(name, 0o755, dir_fd=above)
        if status is not None and is_whiteout(status):
            os.setxattr(self._tree.directory(path), OPAQUE, b"y")
        return False

    def _set_directory_xattrs(self, entry: Entry, fd: int) -> None:
        set_on(fd, entry.xattrs or {})
        if entry.xattrs and b"system.posix_acl_default" in entry.xattrs:
            self._chmod_bits = 0o7777  # What is made below would inherit other modes.

    def _finish_directories(self) -> None:
        """Set directories' times, which their content has changed, and bits that their content would have inherited."""
        for path, (mtime, mode) in self._last.items():
            self._tree.trim()
            try:
                fd = self._tree.directory(path, make=False)
            except (FileNotFoundError, ArchiveRefused):
                continue  # A later entry has replaced it.
            if mode is not None:
                os.fchmod(fd, mode)
            os.utime(fd, ns=(mtime, mtime))

    def _symlink(self, entry: Entry, above: int, name: bytes) -> None:
        os.symlink(entry.link, name, dir_fd=above)
        self.usage += 0 if len(entry.link) < _INLINE_LINK else _PAGE

    def _fifo(self, entry: Entry, above: int, name: bytes) -> None:
        os.mkfifo(name, entry.mode & 0o777, dir_fd=above)

    def _device(self, entry: Entry, above: int, name: bytes) -> None:
        kind = stat.S_IFCHR if entry.kind == CHARACTER else stat.S_IFBLK
        os.mknod(name, kind | entry.mode & 0o777, os.makedev(entry.major, entry.minor), dir_fd=above)

    def _special(self, entry: Entry, above: int, path: bytes, name: bytes) -> None:
        make = self._makers[entry.kind]
        try:
            make(entry, above, name)
        except FileExistsError:
            self._tree.remove(above, path)
            make(entry, above, name)
        if entry.uid or entry.gid:
            os.chown(name, entry.uid, entry.gid, dir_fd=above, follow_symlinks=False)
        if entry.kind != SYMLINK and entry.mode & self._chmod_bits:
            os.chmod(name, entry.mode, dir_fd=above)  # Not a link: it was made just now, in a tree of our own.
        if entry.xattrs:
            set_by_name(above, name, entry.xattrs)
        os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=above, follow_symlinks=False)

    def _hard_link(self, entry: Entry, above: int, path: bytes, name: bytes) -> None:
        target = self._tree.real(clean(entry.link))
        if target == path:
            return
        target_above, _, target_name = target.rpartition(b"/")
        source = self._tree.directory(target_above, make=False)
        options = {"src_dir_fd": source, "dst_dir_fd": above}
        try:
            os.link(target_name, name, **options, follow_symlinks=False)
        except FileExistsError:
            self._tree.remove(above, path)
            os.link(target_name, name, **options, follow_symlinks=False)

    def _hide(self, above: int, mark: bytes) -> None:
        """Hide what the layers below have: all in this directory, or one name."""
        if mark == _OPAQUE_MARK:
            os.setxattr(above, OPAQUE, b"y")
            return
        name = mark[len(_WHITEOUT) :]
        if mark.startswith(_META):
            return  # aufs's own bookkeeping.
        if name in (b"", b".", b".."):
            raise ArchiveRefused(f'"{shown(mark)}" hides no name')
        try:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=above)
        except FileExistsError:
            self._hide_below(above, name)

    def _hide_below(self, above: int, name: bytes) -> None:
        """A name that this layer has itself hides the one below anyway, but for a directory, which would be merged."""
        status = self._tree.status(above, name)
        if status is not None and stat.S_ISDIR(status.st_mode):
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
            try:
                os.setxattr(fd, OPAQUE, b"y")
            finally:
                os.close(fd)


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def _write(fd: int, pieces: Iterator[memoryview]) -> None:
    for piece in pieces:
        written = os.write(fd, piece)
        while written < len(piece):
            written += os.write(fd, piece[written:])
